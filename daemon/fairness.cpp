#include "daemon/fairness.h"

#include <algorithm>
#include <string_view>
#include <tuple>

namespace retouchd::daemon {

double fairness_index(const std::vector<ClientSnapshot>& clients) {
  if (std::ranges::none_of(clients, &ClientSnapshot::is_waiting)) return 1;
  double most = 0;
  for (const ClientSnapshot& client : clients) most = std::max(most, client.is_waiting ? client.pixels : 0);
  std::size_t count = 0;
  double sum = 0;
  double squares = 0;
  for (const ClientSnapshot& client : clients) {
    if (!client.is_waiting && client.pixels <= most) continue;
    ++count;
    sum += client.pixels;
    squares += client.pixels * client.pixels;
  }
  // Rounding must not take it out of its range.
  return squares > 0 ? std::min(sum * sum / (static_cast<double>(count) * squares), 1.0) : 1;
}

std::vector<ClientSnapshot> clients_to_tell(std::vector<ClientSnapshot> clients) {
  std::ranges::sort(clients, [](const ClientSnapshot& a, const ClientSnapshot& b) {
    return std::tuple(!a.is_waiting, -a.pixels, std::string_view(a.name)) <
           std::tuple(!b.is_waiting, -b.pixels, std::string_view(b.name));
  });
  if (clients.size() > kMostClientsTold) clients.resize(kMostClientsTold);
  return clients;
}

}  // namespace retouchd::daemon
