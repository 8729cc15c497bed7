// The files in monitoring/ name metrics and labels as text; here they are held against what the daemon really exposes. An
// expression with a wrong name is no error to Prometheus: its alert never fires and its panel stays empty.

#include <gmock/gmock.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "daemon/metrics.h"
#include "exposition.h"

namespace retouchd::daemon {
namespace {

const std::filesystem::path kMonitoring = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "monitoring";
/// What queue::Decision::code can be.
constexpr std::array kCodes{"policy",       "small",         "pair",       "above_threshold", "below_threshold",
                            "inconsistent", "good_enough",   "all_levels", "already_good",    "over_budget",
                            "node_away",    "deadline",      "timeout",    "refused",         "bad_answer",
                            "disk",         "source_changed"};
const std::set<std::string> kAddedByPrometheus{"instance", "job"};

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  // JSON's escaped quotes become those of the query.
  return std::regex_replace(text.str(), std::regex(R"(\\")"), "\"");
}

template <class Visit>
void for_each_match(const std::string& text, const std::regex& pattern, const Visit& visit) {
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) visit(*match);
}

/// Every series a daemon can show, after one of everything.
class MonitoringNames : public testing::Test {
 protected:
  MonitoringNames() {
    Metrics metrics({"1.0", "2.11.0", "cpu", "detail", {"submit"}});
    Snapshot snapshot;
    snapshot.devices = {{"cpu", true}};
    snapshot.watches.resize(1);
    snapshot.watches[0].name = "family";
    snapshot.cloud = CloudSnapshot{"tcp://node:9465", "closed"};
    for (const auto code : kCodes) {
      queue::Decision decision;
      decision.code = code;
      for (const auto route : {queue::Route::kLocal, queue::Route::kPreview, queue::Route::kLevel, queue::Route::kCloud,
                               queue::Route::kServer, queue::Route::kSkip}) {
        decision.route = route;
        metrics.routed(decision);
      }
    }
    const Exposition exposition(metrics.render(snapshot));
    for (const auto& [name, type] : exposition.types()) families_.insert(name);
    for (const auto& [series, value] : exposition.values()) {
      const auto name = series.substr(0, series.find('{'));
      auto& labels = labels_[name];
      for_each_match(series, std::regex(R"rx(([a-z_]+)="([^"]*)")rx"),
                     [&](const auto& match) { labels[match[1]].insert(match[2]); });
    }
  }

  std::set<std::string> families_;
  std::map<std::string, std::map<std::string, std::set<std::string>>> labels_;  ///< sample name -> label -> values
};

TEST_F(MonitoringNames, AllExist) {
  for (const auto* file : {"alerts.yml", "alerts_test.yml", "grafana/retouchd.json", "README.md"}) {
    for_each_match(read(kMonitoring / file), std::regex("retouchd_[a-z0-9_]+"), [&](const auto& match) {
      EXPECT_TRUE(labels_.contains(match[0]) || families_.contains(match[0])) << file << ": " << match[0];
    });
  }
}

TEST_F(MonitoringNames, HaveTheLabelsThatAreAskedFor) {
  const std::regex selector(R"((retouchd_[a-z0-9_]+)\{([^}]*)\})");
  const std::regex matcher(R"rx(([a-z_]+)\s*=~?\s*"([^"]*)")rx");
  for (const auto* file : {"alerts.yml", "alerts_test.yml", "grafana/retouchd.json"}) {
    for_each_match(read(kMonitoring / file), selector, [&](const auto& found) {
      const auto& labels = labels_[found[1]];
      const std::string matchers = found[2];
      for_each_match(matchers, matcher, [&](const auto& match) {
        const std::string label = match[1];
        if (kAddedByPrometheus.contains(label)) return;
        ASSERT_TRUE(labels.contains(label)) << file << ": " << found[0];
        if (label == "device" || label == "watch" || label == "origin") return;  // their values are the user's
        std::istringstream values(match[2]);
        for (std::string value; std::getline(values, value, '|');) {
          EXPECT_TRUE(labels.at(label).contains(value)) << file << ": " << found[0] << ": no " << label << " " << value;
        }
      });
    });
  }
}

TEST_F(MonitoringNames, AreAllShownByTheDashboard) {
  const auto dashboard = read(kMonitoring / "grafana/retouchd.json");
  for (const auto& family : families_) {
    EXPECT_TRUE(std::regex_search(dashboard, std::regex(family + R"((_bucket)?[^a-z_])"))) << family << " is on no panel";
  }
}

TEST_F(MonitoringNames, AreAllExplainedInTheReadme) {
  const auto readme = read(kMonitoring / "README.md");
  for (const auto& family : families_) EXPECT_THAT(readme, testing::HasSubstr("`" + family + "`"));
}

TEST(Alerts, LeadToASectionOfTheManual) {
  const auto manual = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "docs" / "operating.md";
  const auto alerts = read(kMonitoring / "alerts.yml");
  std::set<std::string> anchors;
  if (std::filesystem::exists(manual)) {
    for_each_match(read(manual), std::regex(R"(\n#+ (Retouchd[A-Za-z]+))"), [&](const auto& match) {
      std::string anchor = match[1];
      for (auto& c : anchor) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      anchors.insert(anchor);
    });
  }
  int count = 0;
  for_each_match(alerts, std::regex(R"(alert: (\w+)[^]*?runbook: (\S+)#(\w+))"), [&](const auto& match) {
    ++count;
    std::string name = match[1];
    for (auto& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    EXPECT_EQ(match[2], "docs/operating.md");
    EXPECT_EQ(match[3], name) << "the section is named like the alert";
    if (std::filesystem::exists(manual)) {
      EXPECT_TRUE(anchors.contains(name)) << "docs/operating.md has no section " << match[1];
    }
  });
  EXPECT_EQ(count, 18);
}

}  // namespace
}  // namespace retouchd::daemon
