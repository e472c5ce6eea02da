#include "sim/check/history_file.h"

#include <simdjson.h>

#include <utility>
#include <vector>

#include "base/check.h"

namespace clew::sim::check {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr uint64_t kVersion = 1;

Error bad(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// A string, or {"hex": "…"} for bytes that are no text.
Result<std::string> text_of(const element& value, std::string_view field) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  object wrapped;
  if (value.get(wrapped) != simdjson::SUCCESS || wrapped.size() != 1 || wrapped["hex"].get(text) != simdjson::SUCCESS) {
    return bad("\"" + std::string(field) + "\" must be a string or {\"hex\":\"…\"}");
  }
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]), low = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    if (high < 0 || low < 0) return bad("\"" + std::string(field) + "\" has a hex value that is not pairs of 0-9a-f");
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

// The members of an object, each taken by name once; what nobody takes is an error, so that a slip of the pen in the
// name of an optional one does not pass for its absence.
class Fields {
 public:
  explicit Fields(object members) {
    for (const auto& member : members) members_.emplace_back(member.key, member.value);
  }
  std::optional<element> take(std::string_view name) {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].first != name) continue;
      const element value = members_[i].second;
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i));
      return value;
    }
    return std::nullopt;
  }
  Result<element> need(std::string_view name) {
    if (const auto value = take(name)) return *value;
    return bad("\"" + std::string(name) + "\" is missing");
  }
  Result<std::string> text(std::string_view name) {
    CLEW_ASSIGN(const element value, need(name));
    return text_of(value, name);
  }
  Result<std::optional<std::string>> text_or_null(std::string_view name) {
    CLEW_ASSIGN(const element value, need(name));
    if (value.is_null()) return std::optional<std::string>();
    CLEW_ASSIGN(std::string text, text_of(value, name));
    return std::optional<std::string>(std::move(text));
  }
  Result<std::vector<std::string>> texts(std::string_view name) {
    CLEW_ASSIGN(const element value, need(name));
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS) return bad("\"" + std::string(name) + "\" must be an array");
    std::vector<std::string> all;
    for (const element item : items) {
      CLEW_ASSIGN(std::string text, text_of(item, name));
      all.push_back(std::move(text));
    }
    return all;
  }
  Result<int64_t> number(std::string_view name) {
    CLEW_ASSIGN(const element value, need(name));
    int64_t number = 0;
    if (value.get(number) != simdjson::SUCCESS) return bad("\"" + std::string(name) + "\" must be an integer");
    return number;
  }
  Result<std::optional<uint64_t>> maybe_unsigned(std::string_view name) {
    const auto value = take(name);
    if (!value) return std::optional<uint64_t>();
    uint64_t number = 0;
    if (value->get(number) != simdjson::SUCCESS) {
      return bad("\"" + std::string(name) + "\" must be an integer of 0 or more");
    }
    return std::optional<uint64_t>(number);
  }
  Result<uint64_t> need_unsigned(std::string_view name) {
    CLEW_ASSIGN(const auto number, maybe_unsigned(name));
    if (!number) return bad("\"" + std::string(name) + "\" is missing");
    return *number;
  }
  Result<bool> flag(std::string_view name) {
    CLEW_ASSIGN(const element value, need(name));
    bool flag = false;
    if (value.get(flag) != simdjson::SUCCESS) return bad("\"" + std::string(name) + "\" must be true or false");
    return flag;
  }
  Status done() const {
    if (members_.empty()) return {};
    return bad("\"" + std::string(members_.front().first) + "\" does not belong here, or stands here twice");
  }

 private:
  std::vector<std::pair<std::string_view, element>> members_;
};

// What a read of this workload answers: into the field of Output that it means.
Status read_answer(Workload workload, Fields& fields, Output& output) {
  switch (workload) {
    case Workload::kRegister: {
      CLEW_ASSIGN(output.value, fields.text_or_null("value"));
      return {};
    }
    case Workload::kList:
    case Workload::kSet: {
      CLEW_ASSIGN(output.values, fields.texts("values"));
      return {};
    }
    case Workload::kCounter: {
      CLEW_ASSIGN(output.number, fields.number("number"));
      return {};
    }
    case Workload::kBank: {
      CLEW_ASSIGN(const element value, fields.need("balances"));
      object balances;
      if (value.get(balances) != simdjson::SUCCESS) return bad("\"balances\" must be an object");
      for (const auto& member : balances) {
        int64_t balance = 0;
        if (member.value.get(balance) != simdjson::SUCCESS) return bad("a balance must be an integer");
        if (!output.balances.emplace(member.key, balance).second) return bad("an account stands in \"balances\" twice");
      }
      return {};
    }
  }
  return {};
}

bool answers_applied(Kind kind) {
  return kind == Kind::kCas || kind == Kind::kInsert || kind == Kind::kErase || kind == Kind::kTransfer;
}

void append_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    out += "{\"hex\":\"";
    for (const char c : text) {
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
    out += "\"}";
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

// Names of members: they cannot be written as hex, so a recorder uses text for them.
void append_member(std::string& out, std::string_view member) {
  CHECK(simdjson::validate_utf8(member.data(), member.size()));
  append_text(out, member);
}

void append_name(std::string& out, std::string_view name) {
  out += ",\"";
  out += name;
  out += "\":";
}
void append_field(std::string& out, std::string_view name, std::string_view text) {
  append_name(out, name);
  append_text(out, text);
}
void append_or_null(std::string& out, std::string_view name, const std::optional<std::string>& text) {
  append_name(out, name);
  if (text) {
    append_text(out, *text);
  } else {
    out += "null";
  }
}
template <typename Number>
void append_number(std::string& out, std::string_view name, Number number) {
  append_name(out, name);
  out += std::to_string(number);
}

void append_answer(std::string& out, Workload workload, const Output& output) {
  switch (workload) {
    case Workload::kRegister:
      append_or_null(out, "value", output.value);
      break;
    case Workload::kList:
    case Workload::kSet: {
      append_name(out, "values");
      char separator = '[';
      for (const std::string& value : output.values) {
        out += separator;
        append_text(out, value);
        separator = ',';
      }
      out += output.values.empty() ? "[]" : "]";
      break;
    }
    case Workload::kCounter:
      append_number(out, "number", output.number);
      break;
    case Workload::kBank: {
      append_name(out, "balances");
      char separator = '{';
      for (const auto& [account, balance] : output.balances) {
        out += separator;
        append_member(out, account);
        out += ':' + std::to_string(balance);
        separator = ',';
      }
      out += output.balances.empty() ? "{}" : "}";
      break;
    }
  }
}

}  // namespace

struct HistoryReader::Impl {
  explicit Impl(Limits given) : limits(given) {}

  const Limits limits;
  History history;
  bool has_header = false;
  bool torn = false;
  std::string partial;  // the beginning of a line
  uint64_t lines = 0;
  uint64_t bytes = 0;
  std::map<ProcessId, OpIndex> pending;
  simdjson::dom::parser parser;

  Status line(std::string_view text) {
    ++lines;
    Status status = line_content(text);
    if (status.ok()) return status;
    return {status.code(), "line " + std::to_string(lines) + ": " + std::string(status.message())};
  }

  Status line_content(std::string_view text) {
    if (text.size() > limits.max_line_bytes) {
      return {Code::kResourceExhausted, "longer than " + std::to_string(limits.max_line_bytes) + " bytes"};
    }
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return {};
    if (history.events + history.applied.size() + history.digests.size() >= limits.max_events) {
      return {Code::kResourceExhausted,
              "more than " + std::to_string(limits.max_events) + " events; check a shorter history"};
    }
    element root;
    object members;
    if (const auto error = parser.parse(text.data(), text.size()).get(root); error != simdjson::SUCCESS) {
      return bad(std::string("not JSON: ") + simdjson::error_message(error));
    }
    if (root.get(members) != simdjson::SUCCESS) return bad("must be a JSON object");
    Fields fields(members);
    if (!has_header) {
      has_header = true;
      return header(fields);
    }
    CLEW_ASSIGN(const std::string event, fields.text("event"));
    if (event == "invoke") return invoke(fields);
    if (event == "return") return returned(fields);
    if (event == "applied") return applied(fields);
    if (event == "digest") return digest(fields);
    return bad("no such \"event\": it is invoke, return, applied or digest");
  }

  Status header(Fields& fields) {
    const auto version = fields.take("clew_history");
    if (!version) return bad("not a history: the first line must be the header, {\"clew_history\":1,…}");
    uint64_t number = 0;
    if (version->get(number) != simdjson::SUCCESS || number != kVersion) {
      return bad("version of the history is not " + std::to_string(kVersion) + ", which is all this program reads");
    }
    CLEW_ASSIGN(const std::string workload, fields.text("workload"));
    const auto known = workload_from(workload);
    if (!known) return bad("no such \"workload\": it is register, list, counter, set or bank");
    history.workload = *known;
    if (const auto initial = fields.take("initial")) {
      object states;
      if (initial->get(states) != simdjson::SUCCESS) return bad("\"initial\" must be an object by key");
      for (const auto& state : states) {
        object answer;
        if (state.value.get(answer) != simdjson::SUCCESS) return bad("an initial state must be an object");
        Fields answer_fields(answer);
        Output output;
        if (*known == Workload::kBank) {
          CLEW_ASSIGN(output.number, answer_fields.number("number"));
        } else {
          CLEW_TRY(read_answer(*known, answer_fields, output));
        }
        CLEW_TRY(answer_fields.done());
        if (!history.initial.emplace(state.key, std::move(output)).second) return bad("a key is initial twice");
      }
    }
    return fields.done();
  }

  Status invoke(Fields& fields) {
    Operation op;
    CLEW_ASSIGN(const uint64_t process, fields.need_unsigned("process"));
    op.process = ProcessId{process};
    CLEW_ASSIGN(const std::string kind_name, fields.text("kind"));
    const auto kind = kind_from(kind_name);
    if (!kind || !belongs(*kind, history.workload)) {
      return bad("no such \"kind\" of operation on a " + std::string(name(history.workload)));
    }
    op.kind = *kind;
    // A bank may be read as a whole.
    const auto key = fields.take("key");
    if (key) {
      CLEW_ASSIGN(op.key, text_of(*key, "key"));
    } else if (history.workload != Workload::kBank || !op.reads()) {
      return bad("\"key\" is missing");
    }
    switch (op.kind) {
      case Kind::kRead:
      case Kind::kDelete:
        break;
      case Kind::kCas: {
        CLEW_ASSIGN(op.input.expected, fields.text_or_null("expected"));
        CLEW_ASSIGN(op.input.value, fields.text("value"));
        break;
      }
      case Kind::kWrite:
      case Kind::kAppend:
      case Kind::kInsert:
      case Kind::kErase: {
        CLEW_ASSIGN(op.input.value, fields.text("value"));
        break;
      }
      case Kind::kAdd: {
        CLEW_ASSIGN(op.input.amount, fields.number("amount"));
        break;
      }
      case Kind::kTransfer: {
        CLEW_ASSIGN(op.input.target, fields.text("target"));
        CLEW_ASSIGN(op.input.amount, fields.number("amount"));
        if (op.input.amount < 0) return bad("\"amount\" of a transfer must not be negative");
        break;
      }
    }
    CLEW_ASSIGN(const auto session, fields.maybe_unsigned("session"));
    if (session) op.session = SessionId{*session};
    CLEW_ASSIGN(const auto sequence, fields.maybe_unsigned("sequence"));
    op.sequence = sequence.value_or(0);
    CLEW_ASSIGN(const auto node, fields.maybe_unsigned("node"));
    if (node) op.node = NodeId{*node};
    if (const auto level = fields.take("level")) {
      CLEW_ASSIGN(const std::string level_name, text_of(*level, "level"));
      const auto known = level_from(level_name);
      if (!known) return bad("no such \"level\": it is linearizable, sequential, causal or eventual");
      op.level = *known;
    }
    if (const auto final = fields.take("final")) {
      if (final->get(op.final) != simdjson::SUCCESS) return bad("\"final\" must be true or false");
      if (op.final && !op.reads()) return bad("only a read can be final");
    }
    CLEW_TRY(time_into(fields, op.invoked_ns));
    CLEW_TRY(fields.done());
    const ProcessId by = op.process;
    pending[by] = history.invoke(std::move(op));
    return {};
  }

  Status returned(Fields& fields) {
    CLEW_ASSIGN(const uint64_t process, fields.need_unsigned("process"));
    const auto found = pending.find(ProcessId{process});
    if (found == pending.end()) {
      return bad("process " + std::to_string(process) + " returns, and has nothing to return from");
    }
    CLEW_ASSIGN(const std::string outcome_name, fields.text("outcome"));
    const auto outcome = outcome_from(outcome_name);
    if (!outcome) return bad("no such \"outcome\": it is ok, fail or unknown");
    int64_t time = 0;
    CLEW_TRY(time_into(fields, time));
    Output output;
    std::optional<uint64_t> position;
    if (*outcome == Outcome::kOk) {
      const Operation& op = history.operations[found->second];
      if (op.reads()) CLEW_TRY(read_answer(history.workload, fields, output));
      if (answers_applied(op.kind)) {
        CLEW_ASSIGN(output.applied, fields.flag("applied"));
      }
      CLEW_ASSIGN(position, position_of(fields));
    }
    CLEW_TRY(fields.done());
    history.answer(found->second, *outcome, std::move(output), position, time);
    pending.erase(found);
    return {};
  }

  Status applied(Fields& fields) {
    CLEW_ASSIGN(const uint64_t node, fields.need_unsigned("node"));
    CLEW_ASSIGN(const auto position, position_of(fields));
    if (!position) return bad("\"position\" is missing");
    CLEW_ASSIGN(const uint64_t session, fields.need_unsigned("session"));
    CLEW_ASSIGN(const uint64_t sequence, fields.need_unsigned("sequence"));
    CLEW_TRY(fields.done());
    history.applied.push_back({NodeId{node}, *position, SessionId{session}, sequence});
    return {};
  }

  Status digest(Fields& fields) {
    CLEW_ASSIGN(const uint64_t node, fields.need_unsigned("node"));
    CLEW_ASSIGN(const auto position, position_of(fields));
    if (!position) return bad("\"position\" is missing");
    CLEW_ASSIGN(std::string text, fields.text("digest"));
    CLEW_TRY(fields.done());
    history.digests.push_back({NodeId{node}, *position, std::move(text)});
    return {};
  }

  static Result<std::optional<uint64_t>> position_of(Fields& fields) {
    CLEW_ASSIGN(const auto position, fields.maybe_unsigned("position"));
    if (position && *position > kMaxPosition) return bad("\"position\" is beyond " + std::to_string(kMaxPosition));
    return position;
  }
  static Status time_into(Fields& fields, int64_t& time_ns) {
    if (const auto time = fields.take("time"); time && time->get(time_ns) != simdjson::SUCCESS) {
      return bad("\"time\" must be an integer, in nanoseconds");
    }
    return {};
  }
};

HistoryReader::HistoryReader() : HistoryReader(Limits()) {}
HistoryReader::HistoryReader(Limits limits) : impl_(std::make_unique<Impl>(limits)) {}
HistoryReader::~HistoryReader() = default;

Status HistoryReader::feed(std::string_view bytes) {
  Impl& impl = *impl_;
  impl.bytes += bytes.size();
  if (impl.bytes > impl.limits.max_bytes) {
    return {Code::kResourceExhausted,
            "longer than " + std::to_string(impl.limits.max_bytes) + " bytes; check a shorter history"};
  }
  while (true) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      impl.partial += bytes;
      // A line is refused before it is whole.
      if (impl.partial.size() > impl.limits.max_line_bytes) return impl.line(impl.partial);
      return {};
    }
    if (impl.partial.empty()) {
      CLEW_TRY(impl.line(bytes.substr(0, end)));
    } else {
      impl.partial += bytes.substr(0, end);
      const std::string whole = std::exchange(impl.partial, {});
      CLEW_TRY(impl.line(whole));
    }
    bytes.remove_prefix(end + 1);
  }
}

Result<History> HistoryReader::finish() {
  impl_->torn = !impl_->partial.empty();
  if (!impl_->has_header) return bad("no header: the file is empty, or its first line is not whole");
  return std::move(impl_->history);
}

bool HistoryReader::torn() const { return impl_->torn; }

Result<History> parse_history(std::string_view text) {
  HistoryReader reader;
  CLEW_TRY(reader.feed(text));
  return reader.finish();
}

std::string header_line(Workload workload, const std::map<std::string, Output>& initial) {
  std::string out = "{\"clew_history\":" + std::to_string(kVersion);
  append_field(out, "workload", name(workload));
  if (!initial.empty()) {
    append_name(out, "initial");
    char separator = '{';
    for (const auto& [key, output] : initial) {
      out += separator;
      separator = ',';
      append_member(out, key);
      std::string state;
      if (workload == Workload::kBank) {
        append_number(state, "number", output.number);
      } else {
        append_answer(state, workload, output);
      }
      state[0] = '{';  // for its comma
      out += ':' + state + '}';
    }
    out += '}';
  }
  return out + "}\n";
}

std::string invoke_line(const Operation& op) {
  std::string out = "{\"event\":\"invoke\"";
  append_number(out, "process", number(op.process));
  append_field(out, "kind", name(op.kind));
  if (!op.key.empty() || !op.reads()) append_field(out, "key", op.key);
  if (op.kind == Kind::kCas) append_or_null(out, "expected", op.input.expected);
  if (op.kind == Kind::kTransfer) append_field(out, "target", op.input.target);
  if (op.kind == Kind::kTransfer || op.kind == Kind::kAdd) {
    append_number(out, "amount", op.input.amount);
  } else if (!op.reads() && op.kind != Kind::kDelete) {
    append_field(out, "value", op.input.value);
  }
  if (op.session) append_number(out, "session", number(*op.session));
  if (op.sequence != 0) append_number(out, "sequence", op.sequence);
  if (op.node) append_number(out, "node", number(*op.node));
  if (op.level != Level::kLinearizable) append_field(out, "level", name(op.level));
  if (op.final) out += ",\"final\":true";
  if (op.invoked_ns != 0) append_number(out, "time", op.invoked_ns);
  return out + "}\n";
}

std::string return_line(Workload workload, const Operation& op) {
  std::string out = "{\"event\":\"return\"";
  append_number(out, "process", number(op.process));
  append_field(out, "outcome", name(op.outcome));
  if (op.ok()) {
    if (op.reads()) append_answer(out, workload, op.output);
    if (answers_applied(op.kind)) out += op.output.applied ? ",\"applied\":true" : ",\"applied\":false";
    if (op.position) append_number(out, "position", *op.position);
  }
  if (op.returned_ns != 0) append_number(out, "time", op.returned_ns);
  return out + "}\n";
}

std::string applied_line(const Applied& applied) {
  std::string out = "{\"event\":\"applied\"";
  append_number(out, "node", number(applied.node));
  append_number(out, "position", applied.position);
  append_number(out, "session", number(applied.session));
  append_number(out, "sequence", applied.sequence);
  return out + "}\n";
}

std::string digest_line(const Digest& digest) {
  std::string out = "{\"event\":\"digest\"";
  append_number(out, "node", number(digest.node));
  append_number(out, "position", digest.position);
  append_field(out, "digest", digest.digest);
  return out + "}\n";
}

std::string write_history(const History& history) {
  std::map<uint64_t, std::string> events;
  for (const Operation& op : history.operations) {
    events[op.invoked] = invoke_line(op);
    if (op.returned != kNever) events[op.returned] = return_line(history.workload, op);
  }
  std::string out = header_line(history.workload, history.initial);
  for (const auto& [at, line] : events) out += line;
  for (const Applied& applied : history.applied) out += applied_line(applied);
  for (const Digest& digest : history.digests) out += digest_line(digest);
  return out;
}

}  // namespace clew::sim::check
