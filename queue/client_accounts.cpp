#include "queue/client_accounts.h"

#include <algorithm>
#include <cmath>

namespace retouchd::queue {
namespace {

constexpr std::uint64_t kMostAdvantage = 64ULL * 512 * 512;
constexpr std::chrono::duration<double> kFades{60};
constexpr double kForgotten = 1;  // of a pixel

std::uint64_t at_least(std::uint64_t level, std::uint64_t reached) {
  return std::max(level, reached > kMostAdvantage ? reached - kMostAdvantage : 0);
}

double faded(double pixels, ClientAccounts::Time since, ClientAccounts::Time now) {
  return pixels * std::exp(-std::max(0.0, std::chrono::duration<double>(now - since) / kFades));
}

}  // namespace

void ClientAccounts::tile_came(const std::string& client) {
  Account& account = accounts_[client];
  if (account.waiting++ == 0) account.level = std::max(account.level, level_);
}

void ClientAccounts::tile_left(const std::string& client) { --accounts_.at(client).waiting; }

std::uint64_t ClientAccounts::level_of(const Account& account) const { return at_least(account.level, level_); }

std::uint64_t ClientAccounts::level(const std::string& client) const {
  const auto found = accounts_.find(client);
  return found == accounts_.end() ? level_ : level_of(found->second);
}

std::uint64_t ClientAccounts::picture_level(const std::string& client) const {
  const auto found = accounts_.find(client);
  return found == accounts_.end() ? 0 : found->second.picture_level;
}

std::uint64_t ClientAccounts::picture_level(const std::string& client, std::uint64_t level) const {
  return at_least(level, picture_level(client));
}

void ClientAccounts::begin_turn(const std::string& client, std::uint64_t picture_level) {
  Account& account = accounts_[client];
  level_ = std::max(level_, level_of(account));
  account.picture_level = std::max(account.picture_level, picture_level);
}

void ClientAccounts::charge(const std::string& client, std::uint64_t pixels, Time now) {
  Account& account = accounts_[client];
  account.level = level_of(account) + pixels;
  account.recent = faded(account.recent, account.charged_at, now) + static_cast<double>(pixels);
  account.charged_at = now;
  if (accounts_.size() > forget_at_) forget_idle(now);
}

void ClientAccounts::forget_idle(Time now) {
  std::erase_if(accounts_, [&](const auto& entry) {
    const Account& account = entry.second;
    return account.waiting == 0 && account.level <= level_ && faded(account.recent, account.charged_at, now) < kForgotten;
  });
  forget_at_ = std::max<std::size_t>(1024, 2 * accounts_.size());  // so that looking through all of them costs little per tile
}

std::map<std::string, ClientAccounts::Recent> ClientAccounts::recent(Time now) const {
  std::map<std::string, Recent> all;
  for (const auto& [client, account] : accounts_) {
    const double pixels = faded(account.recent, account.charged_at, now);
    if (account.waiting > 0 || pixels >= kForgotten) all[client] = {pixels, account.waiting > 0};
  }
  return all;
}

}  // namespace retouchd::queue
