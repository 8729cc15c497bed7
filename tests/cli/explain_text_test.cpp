#include "cli/explain_text.h"

#include <gmock/gmock.h>

namespace retouchd::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST(Explanation, SaysWhereAndWhyAndWithWhatScore) {
  const json job{{"id", 7},
                 {"name", "a.jpg"},
                 {"state", "escalated"},
                 {"decision",
                  {{"policy", "hybrid"},
                   {"route", "cloud"},
                   {"reason", "its score 0.420 is below the threshold 0.9"},
                   {"node", "tcp://cloud:9465"},
                   {"score", 0.42},
                   {"threshold", 0.9},
                   {"calibrated", true},
                   {"parts", {{"mean_db", 24.1}, {"worst_db", 20.0}, {"noise_sigma", 4.25}}}}}};
  const std::string text = explanation(job);
  EXPECT_THAT(text, HasSubstr("job 7: a.jpg, escalated"));
  EXPECT_THAT(text, HasSubstr("on the cloud node tcp://cloud:9465"));
  EXPECT_THAT(text, HasSubstr("its score 0.420 is below the threshold 0.9"));
  EXPECT_THAT(text, HasSubstr("0.420, escalated below 0.9\n"));
  EXPECT_THAT(text, HasSubstr("24.1 dB"));
  EXPECT_THAT(text, Not(HasSubstr("agreement"))) << "was not measured";
  EXPECT_THAT(text, Not(HasSubstr("fallback")));
}

TEST(Explanation, TellsHowToCalibrateAndThatAFallbackWasTaken) {
  const json job{
      {"id", 7},
      {"decision",
       {{"policy", "hybrid"}, {"route", "level"}, {"level_megapixels", 1.0}, {"score", 0.1}, {"fallback", "local_preview"}}}};
  EXPECT_THAT(explanation(job), HasSubstr("retouch calibrate FOLDER"));
  EXPECT_THAT(explanation(job), HasSubstr("at 1 megapixels, enlarged"));
  EXPECT_THAT(explanation(job), HasSubstr("local_preview"));
}

TEST(Explanation, OfAJobThatIsNotDecidedSaysSo) {
  EXPECT_THAT(explanation({{"id", 1}, {"policy", "progressive"}, {"decision", nullptr}}), HasSubstr("not decided yet"));
}

}  // namespace
}  // namespace retouchd::cli
