#include "intake/wire/reply.h"

#include <utility>

#include "intake/wire/request.h"

namespace retouchd::wire {
namespace {

using nlohmann::json;

json envelope(const RequestId& id, bool ok) {
  json reply{{"v", kVersion}, {"ok", ok}};
  reply["id"] = id ? json(*id) : json(nullptr);
  return reply;
}

Reply read_reply(json message) {
  Reply reply;
  const auto id = message.find("id");
  if (id != message.end() && id->is_string()) reply.id = id->get<std::string>();
  if (!message.at("ok").get<bool>()) {
    const json& error = message.at("error");
    reply.error = Error{error_code_from_name(error.value("code", "")), error.value("message", ""), error.value("stage", "")};
    if (error.contains("retry_after_ms"))
      reply.retry_after = std::chrono::milliseconds(error["retry_after_ms"].get<std::int64_t>());
  }
  reply.body = std::move(message);
  return reply;
}

}  // namespace

json error_to_json(const Error& error) {
  json object{{"code", error.name()}, {"message", error.message}, {"remedy", error.remedy()}};
  if (!error.stage.empty()) object["stage"] = error.stage;
  return object;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string ok_reply(const RequestId& id, json fields) {
  json reply = envelope(id, true);
  reply.update(fields);
  return dump(reply);
}

std::string error_reply(const RequestId& id, const Error& error, std::optional<std::chrono::milliseconds> retry_after) {
  json reply = envelope(id, false);
  reply["error"] = error_to_json(error);
  if (retry_after) reply["error"]["retry_after_ms"] = retry_after->count();
  return dump(reply);
}

Result<Reply> parse_reply(std::string_view text) {
  try {
    json message = json::parse(text);
    if (message.at("v") != kVersion) {
      return make_error(ErrorCode::kInvalidRequest, "the daemon speaks protocol version " + message.at("v").dump() +
                                                        ", this program version " + std::to_string(kVersion));
    }
    return read_reply(std::move(message));
  } catch (const json::exception& error) {
    return make_error(ErrorCode::kInvalidRequest, std::string("the daemon's answer is not understood: ") + error.what());
  }
}

}  // namespace retouchd::wire
