#include "app/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <system_error>
#include <type_traits>
#include <vector>

#include "api/tls.h"
#include "app/config_fields.h"
#include "app/units.h"
#include "consensus/protocols.h"
#include "control/bootstrap.h"

namespace clew::app {
namespace {

using wal::Durability;
constexpr std::array<std::string_view, 3> kDurabilities{"disk", "os", "memory"};  // by number
constexpr std::array<std::string_view, 2> kEngines{"memory", "rocksdb"};          // by number
constexpr std::array<std::string_view, 5> kLogLevels{"trace", "debug", "info", "warn", "error"};

constexpr int64_t unit_factor_ns(Unit unit) {
  return unit == Unit::kMilliseconds ? 1'000'000 : unit == Unit::kSeconds ? 1'000'000'000 : 1;
}

Result<std::string> substitute(std::string_view text, const EnvironmentFn& environment) {
  std::string out;
  while (true) {
    const size_t dollar = text.find('$');
    out.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) return out;
    text.remove_prefix(dollar + 1);
    if (text.starts_with("$")) {
      out.push_back('$');
      text.remove_prefix(1);
    } else if (text.starts_with("{env:")) {
      const size_t close = text.find('}');
      if (close == std::string_view::npos) return Error{Code::kInvalidArgument, "'${env:' without its '}'"};
      const std::string_view inner = text.substr(5, close - 5);
      text.remove_prefix(close + 1);
      const size_t separator = inner.find(":-");
      const std::string name(inner.substr(0, separator));
      const auto value = environment(name);
      if (value && !(value->empty() && separator != std::string_view::npos)) {
        out += *value;
      } else if (separator != std::string_view::npos) {
        out.append(inner.substr(separator + 2));
      } else {
        return Error{Code::kInvalidArgument, "environment variable " + name +
                                                 " is not set; set it, or give a default: ${env:" + name + ":-...}"};
      }
    } else {
      out.push_back('$');
    }
  }
}

// Fills a Config from YAML. The first error stays; what follows it is not looked at.
class Reader {
 public:
  Reader(const YAML::Node& root, std::string_view origin, const EnvironmentFn& environment,
         std::map<std::string, std::string>& places)
      : origin_(origin), environment_(environment), places_(places) {
    enter(root, "the file", "");
  }

  void begin(const char* name, const char*) {
    const YAML::Node child = take(name);
    enter(child, name, sections_.back().path + name + ".");
  }
  void end() {
    refuse_unknown();
    sections_.pop_back();
  }

  template <typename T>
  void field(const char* name, T& value, Unit unit, const char*) {
    const YAML::Node node = take(name);
    if (!node.IsDefined() || node.IsNull() || !status_.ok()) return;
    if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      if (!node.IsSequence()) return fail(node, name, "wants a list");
      value.clear();
      for (const auto& item : node) {
        std::string text;
        if (!scalar(item, name, text)) return;
        value.push_back(std::move(text));
      }
    } else {
      std::string text;
      if (scalar(node, name, text)) parse(node, name, text, unit, value);
    }
  }

  void tokens(const char* name, std::vector<api::BearerToken>& tokens, const char*) {
    const YAML::Node node = take(name);
    if (!node.IsDefined() || node.IsNull() || !status_.ok()) return;
    if (!node.IsSequence()) return fail(node, name, "wants a list of {token, tenant}");
    tokens.clear();
    for (const auto& item : node) {
      enter(item, name, sections_.back().path + name + ".");
      api::BearerToken token;
      field("token", token.token, Unit::kPlain, "");
      field("tenant", token.tenant, Unit::kPlain, "");
      if (status_.ok() && token.token.empty()) fail(item, name, "a token is empty");
      end();
      tokens.push_back(std::move(token));
    }
  }

  Status finish() {
    refuse_unknown();
    return status_;
  }

 private:
  struct Section {
    YAML::Node node;
    std::string path;  // "traces."
    std::vector<std::string> known;
  };

  void enter(const YAML::Node& node, const char* name, std::string path) {
    if (status_.ok() && node.IsDefined() && !node.IsNull() && !node.IsMap())
      fail(node, name, "wants a section (key: value)");
    sections_.push_back({node, std::move(path), {}});
  }

  YAML::Node take(const char* name) {
    Section& section = sections_.back();
    section.known.emplace_back(name);
    if (!status_.ok() || !section.node.IsDefined() || !section.node.IsMap()) return YAML::Node(YAML::NodeType::Null);
    const YAML::Node& map = section.node;
    const YAML::Node found = map[name];
    if (!found.IsDefined()) return YAML::Node(YAML::NodeType::Null);
    places_[section.path + name] = place(found);
    return found;
  }

  void refuse_unknown() {
    const Section& section = sections_.back();
    if (!status_.ok() || !section.node.IsDefined() || !section.node.IsMap()) return;
    std::vector<std::string> seen;
    for (const auto& entry : section.node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) return fail(entry.first, key, "stands twice");
      seen.push_back(key);
      if (std::find(section.known.begin(), section.known.end(), key) != section.known.end()) continue;
      std::string hint;
      if (const auto near = nearest(key, section.known); !near.empty()) {
        hint = "; did you mean '" + std::string(near) + "'?";
      } else {
        hint = "; known here:";
        for (const auto& name : section.known) hint += " " + name;
      }
      return fail(entry.first, key, "is not a setting" + hint);
    }
  }

  bool scalar(const YAML::Node& node, const char* name, std::string& out) {
    if (!node.IsScalar()) {
      fail(node, name, "wants a single value");
      return false;
    }
    auto text = substitute(node.Scalar(), environment_);
    if (!text.ok()) {
      fail(node, name, text.error().message);
      return false;
    }
    out = std::move(*text);
    return true;
  }

  void parse(const YAML::Node&, const char*, const std::string& text, Unit, std::string& value) { value = text; }
  void parse(const YAML::Node& node, const char* name, const std::string& text, Unit, Durability& value) {
    for (size_t i = 0; i < kDurabilities.size(); ++i) {
      if (text == kDurabilities[i]) {
        value = static_cast<Durability>(i);
        return;
      }
    }
    fail(node, name, "'" + text + "' is none of disk, os, memory");
  }
  void parse(const YAML::Node& node, const char* name, const std::string& text, Unit, EngineKind& value) {
    for (size_t i = 0; i < kEngines.size(); ++i) {
      if (text == kEngines[i]) {
        value = static_cast<EngineKind>(i);
        return;
      }
    }
    fail(node, name, "'" + text + "' is none of memory, rocksdb");
  }
  void parse(const YAML::Node& node, const char* name, const std::string& text, Unit, bool& value) {
    value = text == "true";
    if (text != "true" && text != "false") fail(node, name, "'" + text + "' is neither true nor false");
  }
  void parse(const YAML::Node& node, const char* name, const std::string& text, Unit, double& value) {
    char* end = nullptr;
    value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') fail(node, name, "'" + text + "' is not a number");
  }
  template <typename T>
  requires std::is_integral_v<T>
  void parse(const YAML::Node& node, const char* name, const std::string& text, Unit unit, T& value) {
    std::optional<uint64_t> number;
    const char* wanted = "a whole number";
    if (unit == Unit::kBytes) {
      number = parse_size(text);
      wanted = "a size like 64MiB";
    } else if (unit == Unit::kPlain) {
      uint64_t plain = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), plain);
      if (error == std::errc() && end == text.data() + text.size()) number = plain;
    } else {
      wanted = "a duration like 5s or 1h30m";
      if (const auto ns = parse_duration(text)) number = static_cast<uint64_t>(*ns / unit_factor_ns(unit));
    }
    if (!number) return fail(node, name, "'" + text + "' is not " + wanted);
    if (*number > static_cast<uint64_t>(std::numeric_limits<T>::max()))
      return fail(node, name, "'" + text + "' is too large");
    value = static_cast<T>(*number);
  }

  void fail(const YAML::Node& node, std::string_view name, const std::string& what) {
    if (!status_.ok()) return;
    status_ = Status(Code::kInvalidArgument, place(node) + ": '" + std::string(name) + "' " + what);
  }

  std::string place(const YAML::Node& node) const {
    const int line = node.Mark().line;
    return std::string(origin_) + (line >= 0 ? ":" + std::to_string(line + 1) : "");
  }

  std::string_view origin_;
  const EnvironmentFn& environment_;
  std::map<std::string, std::string>& places_;
  std::vector<Section> sections_;
  Status status_;
};

std::string value_text(const std::string& value, Unit) {
  YAML::Emitter out;
  out << YAML::DoubleQuoted << value;
  return out.c_str();
}
std::string value_text(Durability value, Unit) { return std::string(kDurabilities[static_cast<size_t>(value)]); }
std::string value_text(EngineKind value, Unit) { return std::string(kEngines[static_cast<size_t>(value)]); }
std::string value_text(bool value, Unit) { return value ? "true" : "false"; }
std::string value_text(double value, Unit) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}
std::string value_text(const std::vector<std::string>& values, Unit) {
  std::string out = "[";
  for (const auto& value : values) out += (out.size() > 1 ? ", " : "") + value_text(value, Unit::kPlain);
  return out + "]";
}
template <typename T>
requires std::is_integral_v<T> std::string value_text(T value, Unit unit) {
  if (unit == Unit::kPlain) return std::to_string(value);
  if (unit == Unit::kBytes) return format_size(static_cast<uint64_t>(value));
  return format_duration(static_cast<int64_t>(value) * unit_factor_ns(unit));
}

class Printer {
 public:
  void begin(const char* name, const char*) {
    out_ << indent_ << name << ":\n";
    indent_ += "  ";
  }
  void end() { indent_.resize(indent_.size() - 2); }
  template <typename T>
  void field(const char* name, T& value, Unit unit, const char*) {
    out_ << indent_ << name << ": " << value_text(value, unit) << "\n";
  }
  void tokens(const char* name, std::vector<api::BearerToken>& tokens, const char*) {
    out_ << indent_ << name << ":" << (tokens.empty() ? " []\n" : "\n");
    for (const auto& token : tokens) {
      out_ << indent_ << "  - {token: \"***\", tenant: " << value_text(token.tenant, Unit::kPlain) << "}\n";
    }
  }
  std::string text() const { return out_.str(); }

 private:
  std::ostringstream out_;
  std::string indent_;
};

class ReferenceTable {
 public:
  void begin(const char* name, const char* help) {
    path_.push_back(name);
    if (*help != '\0') row(join(), "", help);
  }
  void end() { path_.pop_back(); }
  template <typename T>
  void field(const char* name, T& value, Unit unit, const char* help) {
    path_.push_back(name);
    row(join(), "`" + value_text(value, unit) + "`", help);
    path_.pop_back();
  }
  void tokens(const char* name, std::vector<api::BearerToken>&, const char* help) {
    path_.push_back(name);
    row(join(), "`[]`", help);
    path_.pop_back();
  }
  std::string text() const { return "| setting | default | |\n|---|---|---|\n" + out_.str(); }

 private:
  std::string join() const {
    std::string out;
    for (const auto* part : path_) out.append(out.empty() ? "" : ".").append(part);
    return out;
  }
  void row(const std::string& name, const std::string& value, const char* help) {
    out_ << "| `" << name << "` | " << value << " | " << help << " |\n";
  }
  std::vector<const char*> path_;
  std::ostringstream out_;
};

// A message about a setting, or about a section: with its place in the file, or else that of the `other` setting that
// it contradicts.
Status wrong(const Config& config, const std::string& setting, const std::string& what, const std::string& other = "") {
  auto place = config.places.find(setting);
  if (place == config.places.end()) place = config.places.find(other);
  const std::string where = place == config.places.end() ? "" : place->second + ": ";
  return {Code::kInvalidArgument, where + setting + what};
}

Status check_endpoint(const Config& config, const std::string& section, const std::string& endpoint,
                      const api::TlsOptions& tls) {
  if (!endpoint.empty()) {
    const std::string setting = section + ".endpoint";
    const size_t colon = endpoint.rfind(':');
    uint32_t port = 0;
    if (colon == std::string::npos) return wrong(config, setting, ": '" + endpoint + "' has no port; write host:port");
    const auto [end, error] = std::from_chars(endpoint.data() + colon + 1, endpoint.data() + endpoint.size(), port);
    if (error != std::errc() || end != endpoint.data() + endpoint.size() || port > 65535) {
      return wrong(config, setting, ": '" + endpoint.substr(colon + 1) + "' is not a port");
    }
  }
  if (tls.enabled() && (tls.cert_file.empty() || tls.key_file.empty()))
    return wrong(config, section + ".tls", " wants both cert_file and key_file");
  return {};
}

bool on_loopback(const std::string& endpoint) {
  const std::string host = endpoint.substr(0, endpoint.rfind(':'));
  return host.starts_with("127.") || host == "localhost" || host == "[::1]";
}

// Of a group whose members do not trust each other.
Status check_signing(const Config& config) {
  const auto& control = config.control;
  if (control.signing_key.empty() || control.signing_members.empty()) {
    return wrong(
        config, "control.signing",
        " wants key_file and members_dir: members of " + control.consensus +
            " sign what they say; make keys with `clew keys signing ID` and give everybody the signing-ID.pub");
  }
  if (control.initial_cluster.empty()) {
    return wrong(config, "control.initial_cluster",
                 " is empty: " + control.consensus +
                     " takes at least four founders, and who joins is told them, too, to know whom to believe");
  }
  // Not everything that members say is signed (docs/decisions/0014-pbft.md): the connection tells whose it is.
  if (!control.peer.tls.enabled() && !on_loopback(control.peer.endpoint)) {
    return wrong(config, "control.peer.tls",
                 " is not set: without certificates whoever reaches " + control.peer.endpoint +
                     " could speak as any member of " + control.consensus +
                     "; make them with `clew keys ca` and `clew keys node ID`. On 127.0.0.1 a group may be tried out "
                     "without");
  }
  return {};
}

Status check_control(const Config& config) {
  const auto& control = config.control;
  const auto fail = [&](const char* setting, const std::string& what, const char* other = "") {
    return wrong(config, setting, what, other);
  };
  CLEW_TRY(check_endpoint(config, "control.peer", control.peer.endpoint, control.peer.tls));
  CLEW_TRY(check_endpoint(config, "control.client", control.client.endpoint, control.client.tls));
  if (control.peer.endpoint.empty()) return fail("control.peer.endpoint", " is empty; a member listens for the others");
  for (const auto& [section, port] :
       {std::pair{"control.peer.tls", &control.peer}, {"control.client.tls", &control.client}}) {
    if (port->tls.enabled() && port->tls.client_ca_file.empty()) {
      return fail(section, " wants client_ca_file, too: certificates are shown on both sides");
    }
  }
  const auto* const protocol = consensus::protocol_named(control.consensus);
  if (protocol == nullptr) {
    return fail("control.consensus", " '" + control.consensus + "' is none of " + consensus::protocol_names());
  }
  if (protocol->byzantine) CLEW_TRY(check_signing(config));
  if (!control.initial_cluster.empty()) {
    if (!control.join.empty() && !protocol->byzantine) {
      return fail("control.join", " and control.initial_cluster: a node founds a group or joins one",
                  "control.initial_cluster");
    }
    const auto founders = control::parse_founders(control.initial_cluster);
    if (!founders.ok()) return fail("control.initial_cluster", ": " + founders.error().message);
    if (control.node_id == 0 && control.join.empty()) {
      return fail("control.node_id", " (--node-id) is not said; which of control.initial_cluster is this?",
                  "control.initial_cluster");
    }
    // Before the data directory is made theirs.
    const auto members = consensus::Membership::make(*founders);
    if (!members.ok()) return fail("control.initial_cluster", ": " + members.error().message);
    if (const Status possible = protocol->founds(*members); !possible.ok()) {
      return fail("control.initial_cluster", ": " + std::string(possible.message()), "control.consensus");
    }
  }
  if (control.role != "voter" && control.role != "witness" && control.role != "learner") {
    return fail("control.role", " '" + control.role + "' is none of voter, witness, learner");
  }
  if (control.heartbeat_ns < 1'000'000) return fail("control.heartbeat", " must be at least 1ms");
  if (control.election_timeout_ns < 2 * control.heartbeat_ns) {
    return fail("control.election_timeout", " must be at least twice control.heartbeat", "control.heartbeat");
  }
  if (control.log_file_bytes < (8u << 20)) return fail("control.log_file_size", " must be at least 8MiB");
  if (control.snapshot_every_bytes < (1u << 20)) return fail("control.snapshot_every", " must be at least 1MiB");
  if (control.quota_bytes < (1u << 20)) return fail("control.quota", " must be at least 1MiB");
  const auto& tokens = config.servers.otlp_http.auth.bearer_tokens;
  const bool for_nobody = !tokens.empty() && control_tokens(config).empty();
  if (for_nobody && !control.client.endpoint.empty() && !control.client.tls.enabled()) {
    return fail(
        "auth.bearer_tokens",
        " are tenants' only: the control plane's clients and members need one without a tenant, or certificates "
        "(control.client.tls)");
  }
  return {};
}

}  // namespace

std::vector<std::string> control_tokens(const Config& config) {
  std::vector<std::string> tokens;
  for (const auto& token : config.servers.otlp_http.auth.bearer_tokens) {
    if (token.tenant.empty()) tokens.push_back(token.token);
  }
  return tokens;
}

Config default_config() {
  Config config;
  config.node.data_directory = "clew-data";
  return config;
}

EnvironmentFn process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing sets the environment
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Status read_config(std::string_view yaml, std::string_view origin, const EnvironmentFn& environment, Config& config) {
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    Reader reader(root, origin, environment, config.places);
    describe(config, reader);
    CLEW_TRY(reader.finish());
  } catch (const YAML::Exception& e) {
    return Status(Code::kInvalidArgument,
                  std::string(origin) + ":" + std::to_string(e.mark.line + 1) + ": not YAML: " + e.msg);
  }
  // One list of tokens guards every listener.
  const auto& auth = config.servers.otlp_http.auth;
  config.servers.otlp_grpc.auth = auth;
  config.servers.http.auth = auth;
  config.servers.tempo.auth = auth;
  config.servers.etcd.auth = auth;
  // The same two periods drive the state machine and are quoted in verdicts.
  config.node.policy.quiet_period_ns = config.node.lifecycle.quiet_period_ns;
  config.node.policy.trace_timeout_ns = config.node.lifecycle.trace_timeout_ns;
  return {};
}

Result<Config> load_config(const std::string& path) {
  const auto unreadable = [&](const std::string& why) {
    return Error{Code::kNotFound, "cannot read configuration " + path + ": " + why};
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return unreadable("it is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(std::generic_category().message(errno != 0 ? errno : EIO));
  std::ostringstream text;
  errno = 0;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();  // an empty file is a good one
  if (file.bad() || errno == EIO) return unreadable(std::generic_category().message(errno != 0 ? errno : EIO));
  Config config = default_config();
  CLEW_TRY(read_config(text.str(), path, process_environment(), config));
  return config;
}

uint64_t largest_request(const api::ServerOptions& servers) {
  return std::max(servers.otlp_http.endpoint.empty() ? 0 : servers.otlp_http.limits.max_request_body_size,
                  servers.otlp_grpc.endpoint.empty() ? 0 : servers.otlp_grpc.max_recv_msg_size);
}

Status check_config(const Config& config) {
  const auto fail = [&](const char* setting, const std::string& what, const char* other = "") {
    return wrong(config, setting, what, other);
  };
  const auto& servers = config.servers;
  const auto& node = config.node;
  CLEW_TRY(check_endpoint(config, "receivers.otlp.protocols.grpc", servers.otlp_grpc.endpoint, servers.otlp_grpc.tls));
  CLEW_TRY(check_endpoint(config, "receivers.otlp.protocols.http", servers.otlp_http.endpoint, servers.otlp_http.tls));
  CLEW_TRY(check_endpoint(config, "query.http", servers.http.endpoint, servers.http.tls));
  CLEW_TRY(check_endpoint(config, "query.tempo", servers.tempo.endpoint, servers.tempo.tls));
  CLEW_TRY(check_endpoint(config, "etcd", servers.etcd.endpoint, servers.etcd.tls));
  if (node.data_directory.empty()) return fail("storage.directory", " is empty; name a directory, or pass --data-dir");
  if (node.lifecycle.quiet_period_ns <= 0) return fail("traces.quiet_period", " must be above 0");
  if (node.lifecycle.trace_timeout_ns < node.lifecycle.quiet_period_ns) {
    return fail("traces.trace_timeout",
                " is below traces.quiet_period: traces would be given up before they are assessed",
                "traces.quiet_period");
  }
  if (node.lifecycle.max_open_ns < node.lifecycle.trace_timeout_ns) {
    return fail("traces.max_open", " is below traces.trace_timeout: every trace that waits would go to disk first",
                "traces.trace_timeout");
  }
  if (!(node.retention.max_disk_share > 0 && node.retention.max_disk_share <= 1)) {
    return fail("storage.retention.max_disk_share", " must be above 0 and at most 1");
  }
  if (node.wal_file_bytes < (1u << 20)) return fail("storage.wal.file_size", " must be at least 1MiB");
  if (node.memory_limit_bytes < (32ull << 20)) return fail("limits.memory", " must be at least 32MiB");
  if (servers.max_in_flight_bytes < servers.otlp_http.limits.max_request_body_size ||
      servers.max_in_flight_bytes < servers.otlp_grpc.max_recv_msg_size) {
    return fail("limits.max_in_flight", " is below the largest request: such a request could never be admitted");
  }
  if (servers.otlp_grpc.memory_quota_bytes / 5 * 4 < servers.otlp_grpc.max_recv_msg_size) {
    return fail("receivers.otlp.protocols.grpc.memory_quota",
                " is below max_recv_msg_size and a quarter: a message of that size might never be received whole",
                "receivers.otlp.protocols.grpc.max_recv_msg_size");
  }
  if (std::find(kLogLevels.begin(), kLogLevels.end(), config.log_level) == kLogLevels.end()) {
    return fail("log.level", " '" + config.log_level + "' is none of trace, debug, info, warn, error");
  }
  for (const auto& token : servers.otlp_http.auth.bearer_tokens) {
    if (!token.tenant.empty() && !model::tenant_name_valid(token.tenant)) {
      return fail("auth.bearer_tokens",
                  ": '" + token.tenant + "' is not a tenant's name (1-128 of A-Z a-z 0-9 _ . : @ -)");
    }
  }
  const uint32_t shards = node.shards != 0 ? node.shards : std::max(1u, config.loops);
  if (const uint64_t most = cluster::largest_admissible_bytes(node.memory_limit_bytes, shards);
      most < largest_request(servers)) {
    return fail("limits.memory",
                " of " + std::to_string(node.memory_limit_bytes >> 20) + " MiB over " + std::to_string(shards) +
                    (shards == 1 ? " shard" : " shards") + " admits requests of up to " + std::to_string(most >> 20) +
                    " MiB: one of the largest size, " + std::to_string(largest_request(servers) >> 20) +
                    " MiB, could never be admitted; raise limits.memory, or lower max_request_body_size and "
                    "max_recv_msg_size");
  }
  if (node.max_tenants == 0) return fail("limits.max_tenants", " must be above 0");
  return check_control(config);
}

Status check_files(const Config& config) {
  const auto& servers = config.servers;
  const auto check = [&](const std::string& section, const api::TlsOptions& tls) -> Status {
    if (!tls.enabled()) return {};
    const auto loaded = api::load_tls(tls);
    return loaded.ok() ? Status() : wrong(config, section + ".tls", ": " + loaded.error().message);
  };
  CLEW_TRY(check("receivers.otlp.protocols.grpc", servers.otlp_grpc.tls));
  CLEW_TRY(check("receivers.otlp.protocols.http", servers.otlp_http.tls));
  CLEW_TRY(check("query.http", servers.http.tls));
  CLEW_TRY(check("etcd", servers.etcd.tls));
  CLEW_TRY(check("control.peer", config.control.peer.tls));
  CLEW_TRY(check("control.client", config.control.client.tls));
  return check("query.tempo", servers.tempo.tls);
}

std::string print_config(Config config) {
  Printer printer;
  describe(config, printer);
  return printer.text();
}

std::string print_config_for(const std::string& tenant, Config config) {
  std::erase_if(config.servers.otlp_http.auth.bearer_tokens,
                [&](const api::BearerToken& token) { return token.tenant != tenant; });
  return print_config(std::move(config));
}

std::string config_reference() {
  Config config = default_config();
  ReferenceTable table;
  describe(config, table);
  return table.text();
}

}  // namespace clew::app
