#include "intake/wire/request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

#include "base/nearest_name.h"

namespace retouchd::wire {
namespace {

using nlohmann::json;

enum class Kind { kText, kHash, kInteger, kNumber, kFlag };

/// One field that a request may have. For texts `most` is the longest length in bytes; numbers are above `least`.
struct Field {
  std::string_view name;
  Kind kind = Kind::kText;
  std::int64_t least = 0;
  std::int64_t most = 4'096;
  bool required = false;
};

constexpr std::int64_t kBiggest = std::numeric_limits<std::int64_t>::max();
constexpr Field kJob{"job", Kind::kInteger, 1, kBiggest, true};

constexpr std::int64_t kLongestDeadline = 10LL * 365 * 24 * 3600;

constexpr std::array kSubmitFields{
    Field{"path"},
    Field{"content", Kind::kHash},
    Field{"name", Kind::kText, 0, 255},
    Field{"output"},
    Field{"network", Kind::kText, 0, 255},
    Field{"priority", Kind::kInteger, -1'000, 1'000},
    Field{"deadline_seconds", Kind::kNumber, 0, kLongestDeadline},
    Field{"preview", Kind::kFlag},
    Field{"preview_only", Kind::kFlag},
    Field{"policy", Kind::kText, 1, 32},
    Field{"skip_good", Kind::kFlag},
    Field{"overwrite", Kind::kFlag},
    Field{"key", Kind::kText, 1, 255},
};
constexpr std::array kJobFields{kJob};
constexpr std::array kEventsFields{
    kJob,
    Field{"since", Kind::kInteger, 0, kBiggest},
};
constexpr std::array kListFields{
    Field{"state", Kind::kText, 0, 32},
    Field{"origin", Kind::kText, 0, 255},
    Field{"after", Kind::kInteger, 0, kBiggest},
    Field{"limit", Kind::kInteger, 1, kMaxListed},
};
constexpr std::array kFetchFields{
    kJob,
    Field{"offset", Kind::kInteger, 0, kBiggest},
    Field{"length", Kind::kInteger, 1, static_cast<std::int64_t>(kMaxChunk.value)},
};
constexpr std::array kUploadFields{
    Field{"sha256", Kind::kHash, 0, 0, true},
    Field{"size", Kind::kInteger, 1, kBiggest, true},
    Field{"offset", Kind::kInteger, 0, kBiggest},
};
constexpr std::array<std::string_view, 3> kPolicies{"local", "hybrid", "progressive"};

Error refusal(std::string message) { return make_error(ErrorCode::kInvalidRequest, std::move(message)); }

std::string in_quotes(std::string_view name) {
  // Refusals are read by people: a field name of a megabyte helps nobody.
  constexpr std::size_t kLongest = 64;
  std::string text = "\"";
  text += name.substr(0, kLongest);
  if (name.size() > kLongest) text += "...";
  return text + "\"";
}

std::string_view kind_of(const json& value) {
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number with a fraction";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return "null";
}

Error wrong_type(std::string_view name, std::string_view wanted, const json& value) {
  return refusal("field " + in_quotes(name) + " must be " + std::string(wanted) + ", not " + std::string(kind_of(value)));
}

Result<void> check_text(const Field& field, const json& value) {
  if (!value.is_string()) return wrong_type(field.name, "a string", value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) return refusal("field " + in_quotes(field.name) + " contains a zero byte");
  const auto length = static_cast<std::int64_t>(text.size());
  if (length > field.most) {
    return refusal("field " + in_quotes(field.name) + " is longer than " + std::to_string(field.most) + " bytes");
  }
  if (length < field.least) return refusal("field " + in_quotes(field.name) + " is empty");
  return {};
}

Result<void> check_hash(const Field& field, const json& value) {
  constexpr std::size_t kDigits = 64;
  if (!value.is_string()) return wrong_type(field.name, "a string", value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos) return {};
  return refusal("field " + in_quotes(field.name) + " must be a SHA-256 as 64 lower-case hexadecimal digits, not " +
                 in_quotes(text));
}

Result<void> check_integer(const Field& field, const json& value) {
  if (!value.is_number_integer()) return wrong_type(field.name, "an integer", value);
  const bool beyond = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(kBiggest);
  const auto number = beyond ? kBiggest : value.get<std::int64_t>();
  if (beyond || number < field.least || number > field.most) {
    const std::string range = field.most == kBiggest
                                  ? "at least " + std::to_string(field.least)
                                  : "from " + std::to_string(field.least) + " to " + std::to_string(field.most);
    return refusal("field " + in_quotes(field.name) + " must be " + range + ", not " + value.dump());
  }
  return {};
}

Result<void> check_number(const Field& field, const json& value) {
  if (!value.is_number()) return wrong_type(field.name, "a number", value);
  const double number = value.get<double>();
  if (number > static_cast<double>(field.least) && number <= static_cast<double>(field.most)) return {};
  return refusal("field " + in_quotes(field.name) + " must be above " + std::to_string(field.least) + " and at most " +
                 std::to_string(field.most) + ", not " + value.dump());
}

Result<void> check_field(const Field& field, const json& value) {
  switch (field.kind) {
    case Kind::kText:
      return check_text(field, value);
    case Kind::kHash:
      return check_hash(field, value);
    case Kind::kInteger:
      return check_integer(field, value);
    case Kind::kNumber:
      return check_number(field, value);
    case Kind::kFlag:
      break;
  }
  if (!value.is_boolean()) return wrong_type(field.name, "true or false", value);
  return {};
}

Result<void> check_fields(std::string_view op, std::span<const Field> fields, const json& message) {
  for (const auto& [name, value] : message.items()) {
    if (name == "v" || name == "id" || name == "op") continue;
    const auto known =
        std::find_if(fields.begin(), fields.end(), [&name = name](const Field& field) { return field.name == name; });
    if (known == fields.end()) {
      std::vector<std::string_view> names{"v", "id", "op"};
      for (const Field& field : fields) names.push_back(field.name);
      return refusal("unknown field " + in_quotes(name) + " in " + std::string(op) + "; the nearest known one is " +
                     in_quotes(nearest_name(name, names)));
    }
    if (auto checked = check_field(*known, value); !checked) return checked;
  }
  for (const Field& field : fields) {
    if (field.required && !message.contains(field.name))
      return refusal(std::string(op) + " needs the field " + in_quotes(field.name));
  }
  return {};
}

template <class Op>
Result<Operation> read_job(const json& message) {
  if (auto checked = check_fields(Op::kName, kJobFields, message); !checked) return checked.error();
  Op op;
  op.job = message.at("job").get<std::int64_t>();
  return Operation{op};
}

template <class Op>
Result<Operation> read_empty(const json& message) {
  if (auto checked = check_fields(Op::kName, {}, message); !checked) return checked.error();
  return Operation{Op{}};
}

/// There is exactly one picture, and what has no file name gets one.
Result<void> check_sources(const Submit& submit, bool has_content) {
  const int sources = (submit.path.empty() ? 0 : 1) + (submit.content.empty() ? 0 : 1) + (has_content ? 1 : 0);
  if (sources > 1) return refusal("submit takes one of \"path\", \"content\" and a binary frame, not several");
  if (sources == 0) {
    return refusal("submit needs \"path\", or the \"name\" of a picture and its \"content\" (of an upload) or a binary frame");
  }
  if (submit.path.empty() && submit.name.empty()) {
    return refusal("submit with " + std::string(has_content ? "a binary frame" : "\"content\"") + " needs the field \"name\"");
  }
  return {};
}

Result<Operation> read_submit(const json& message, bool has_content) {
  if (auto checked = check_fields(Submit::kName, kSubmitFields, message); !checked) return checked.error();
  Submit submit;
  submit.path = message.value("path", "");
  submit.content = message.value("content", "");
  submit.name = message.value("name", "");
  submit.output = message.value("output", "");
  submit.network = message.value("network", "");
  submit.key = message.value("key", "");
  submit.priority = message.value("priority", 0);
  submit.deadline_seconds = message.value("deadline_seconds", 0.0);
  submit.preview = message.value("preview", true);
  submit.overwrite = message.value("overwrite", false);
  submit.preview_only = message.value("preview_only", false);
  submit.policy = message.value("policy", "");
  if (message.contains("skip_good")) submit.skip_good = message.at("skip_good").get<bool>();
  if (!submit.policy.empty() && std::find(kPolicies.begin(), kPolicies.end(), submit.policy) == kPolicies.end()) {
    return refusal("there is no policy " + in_quotes(submit.policy) + "; the nearest known one is " +
                   in_quotes(nearest_name(submit.policy, kPolicies)));
  }
  if (auto sources = check_sources(submit, has_content); !sources) return sources.error();
  return Operation{submit};
}

Result<Operation> read_events(const json& message) {
  if (auto checked = check_fields(Events::kName, kEventsFields, message); !checked) return checked.error();
  Events events;
  events.job = message.at("job").get<std::int64_t>();
  events.since = message.value("since", events.since);
  return Operation{events};
}

Result<Operation> read_list(const json& message) {
  if (auto checked = check_fields(List::kName, kListFields, message); !checked) return checked.error();
  List list;
  list.state = message.value("state", "");
  list.origin = message.value("origin", "");
  list.after = message.value("after", std::int64_t{0});
  list.limit = message.value("limit", list.limit);
  return Operation{list};
}

Result<Operation> read_fetch(const json& message) {
  if (auto checked = check_fields(Fetch::kName, kFetchFields, message); !checked) return checked.error();
  Fetch fetch;
  fetch.job = message.at("job").get<std::int64_t>();
  fetch.offset = message.value("offset", fetch.offset);
  fetch.length = message.value("length", fetch.length);
  return Operation{fetch};
}

Result<Operation> read_upload(const json& message) {
  if (auto checked = check_fields(Upload::kName, kUploadFields, message); !checked) return checked.error();
  Upload upload;
  upload.sha256 = message.at("sha256").get<std::string>();
  upload.size = message.at("size").get<std::uint64_t>();
  upload.offset = message.value("offset", upload.offset);
  return Operation{upload};
}

constexpr std::array<std::string_view, 11> kOperations{Submit::kName, Status::kName, List::kName,   Cancel::kName,
                                                       Retry::kName,  Events::kName, Models::kName, Fetch::kName,
                                                       Ping::kName,   Stats::kName,  Upload::kName};

Result<Operation> read_operation(std::string_view op, const json& message, bool has_content) {
  if (has_content && op != Submit::kName && op != Upload::kName) {
    return refusal("only submit and upload take a binary frame, not " + std::string(op));
  }
  if (op == Submit::kName) return read_submit(message, has_content);
  if (op == Status::kName) return read_job<Status>(message);
  if (op == List::kName) return read_list(message);
  if (op == Cancel::kName) return read_job<Cancel>(message);
  if (op == Retry::kName) return read_job<Retry>(message);
  if (op == Events::kName) return read_events(message);
  if (op == Models::kName) return read_empty<Models>(message);
  if (op == Fetch::kName) return read_fetch(message);
  if (op == Stats::kName) return read_empty<Stats>(message);
  if (op == Upload::kName) return read_upload(message);
  return read_empty<Ping>(message);
}

Result<void> check_version(const json& message) {
  const auto version = message.find("v");
  if (version == message.end()) return refusal("field \"v\" (the protocol version, " + std::to_string(kVersion) + ") is missing");
  if (!version->is_number_integer()) return wrong_type("v", "an integer", *version);
  if (*version != kVersion) {
    return refusal("protocol version " + version->dump() + " is not spoken here; this daemon speaks version " +
                   std::to_string(kVersion));
  }
  return {};
}

ParsedRequest refused(std::string message) { return {std::nullopt, "unknown", refusal(std::move(message))}; }

ParsedRequest parse_checked(std::string_view text, bool has_content) {
  if (text.size() > kMaxEnvelope.value) return refused("the JSON frame is larger than " + to_string(kMaxEnvelope));
  const json message = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (message.is_discarded()) return refused("the request is not JSON (UTF-8)");
  if (!message.is_object()) return refused("the request must be a JSON object, not " + std::string(kind_of(message)));

  ParsedRequest parsed{std::nullopt, "unknown", Operation{Ping{}}};
  if (const auto id = message.find("id"); id != message.end()) {
    if (!id->is_string()) return refused(wrong_type("id", "a string", *id).message);
    if (id->get_ref<const std::string&>().size() > 255) return refused("field \"id\" is longer than 255 bytes");
    parsed.id = id->get<std::string>();
  }
  if (auto version = check_version(message); !version) {
    parsed.operation = version.error();
    return parsed;
  }
  const auto op = message.find("op");
  if (op == message.end()) {
    parsed.operation = refusal("field \"op\" is missing");
  } else if (!op->is_string()) {
    parsed.operation = wrong_type("op", "a string", *op);
  } else {
    const auto& wanted = op->get_ref<const std::string&>();
    const auto* known = std::find(kOperations.begin(), kOperations.end(), wanted);
    if (known == kOperations.end()) {
      parsed.operation = refusal("unknown operation " + in_quotes(wanted) + "; the nearest known one is " +
                                 in_quotes(nearest_name(wanted, kOperations)));
    } else {
      parsed.op = *known;
      parsed.operation = read_operation(*known, message, has_content);
    }
  }
  return parsed;
}

void put(json& message, std::string_view name, const std::string& text) {
  if (!text.empty()) message[std::string(name)] = text;
}

struct FieldWriter {
  json& message;

  void operator()(const Ping& /*unused*/) const {}
  void operator()(const Models& /*unused*/) const {}
  void operator()(const Stats& /*unused*/) const {}
  void operator()(const Status& op) const { message["job"] = op.job; }
  void operator()(const Cancel& op) const { message["job"] = op.job; }
  void operator()(const Retry& op) const { message["job"] = op.job; }
  void operator()(const Events& op) const {
    message["job"] = op.job;
    if (op.since != 0) message["since"] = op.since;
  }
  void operator()(const Submit& op) const {
    put(message, "path", op.path);
    put(message, "content", op.content);
    put(message, "name", op.name);
    put(message, "output", op.output);
    put(message, "network", op.network);
    put(message, "key", op.key);
    if (op.priority != 0) message["priority"] = op.priority;
    if (op.deadline_seconds > 0) message["deadline_seconds"] = op.deadline_seconds;
    if (!op.preview) message["preview"] = false;
    if (op.preview_only) message["preview_only"] = true;
    put(message, "policy", op.policy);
    if (op.skip_good) message["skip_good"] = *op.skip_good;
    if (op.overwrite) message["overwrite"] = true;
  }
  void operator()(const List& op) const {
    put(message, "state", op.state);
    put(message, "origin", op.origin);
    if (op.after != 0) message["after"] = op.after;
    message["limit"] = op.limit;
  }
  void operator()(const Fetch& op) const {
    message["job"] = op.job;
    message["offset"] = op.offset;
    message["length"] = op.length;
  }
  void operator()(const Upload& op) const {
    message["sha256"] = op.sha256;
    message["size"] = op.size;
    if (op.offset != 0) message["offset"] = op.offset;
  }
};

}  // namespace

std::string_view name_of(const Operation& operation) noexcept {
  return std::visit([](const auto& op) { return std::decay_t<decltype(op)>::kName; }, operation);
}

std::span<const std::string_view> operation_names() noexcept { return kOperations; }

ParsedRequest parse_request(std::string_view text, bool has_content) {
  try {
    return parse_checked(text, has_content);
  } catch (const json::exception& error) {  // a check above has a hole: refuse rather than die
    return refused(std::string("the request could not be read: ") + error.what());
  }
}

Result<std::string> to_text(const Request& request) {
  json message{{"v", kVersion}, {"op", name_of(request.operation)}};
  if (request.id) message["id"] = *request.id;
  std::visit(FieldWriter{message}, request.operation);
  try {
    return message.dump();
  } catch (const json::exception&) {
    return refusal("a name is not UTF-8, which the protocol cannot carry; rename the file, or use a watched folder");
  }
}

}  // namespace retouchd::wire
