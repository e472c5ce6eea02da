#include "app/kv_output.h"

#include <simdjson.h>

#include <charconv>
#include <cstdio>

#include "otlp/base64.h"
#include "otlp/utf8.h"

namespace clew::app {
namespace {

struct Fields {
  api::JsonWriter& json;
  void kvs(const char* name, const std::vector<kv::KeyValue>& list) {
    json.key(name).open_array();
    for (const kv::KeyValue& kv : list) write_key_value(json, kv);
    json.close_array();
  }
  void operator()(const kv::RangeResponse& r) {
    kvs("kvs", r.kvs);
    json.key("count").number(r.count).key("more").boolean(r.more);
  }
  void operator()(const kv::PutResponse& r) {
    if (r.prev_kv) write_key_value(json.key("previous"), *r.prev_kv);
  }
  void operator()(const kv::DeleteRangeResponse& r) {
    json.key("deleted").number(r.deleted);
    if (!r.prev_kvs.empty()) kvs("previous", r.prev_kvs);
  }
  void operator()(const kv::TxnResponse& r) {
    json.key("succeeded").boolean(r.succeeded).key("responses").open_array();
    for (const kv::ResponseOp& op : r.responses) {
      json.open_object();
      std::visit(*this, op.op);
      json.close_object();
    }
    json.close_array();
  }
  void operator()(const kv::AppendResponse& r) { json.key("size").number(r.size); }
  void operator()(const kv::CompareAndSetResponse& r) {
    json.key("swapped").boolean(r.swapped);
    if (r.current) write_key_value(json.key("current"), *r.current);
  }
  void operator()(const kv::CustomResponse& r) { write_bytes(json, "result", r.result); }
  void operator()(const kv::LeaseGrantResponse& r) {
    json.key("lease").text(lease_text(r.id)).key("ttl_s").number(r.ttl_s);
  }
  void operator()(const kv::LeaseKeepAliveResponse& r) {
    json.key("ttl_s").open_array();
    for (const int64_t ttl : r.ttl_s) json.number(ttl);
    json.close_array();
  }
  void operator()(const kv::LeaseTimeToLiveResponse& r) {
    json.key("lease").text(lease_text(r.id)).key("ttl_s").number(r.ttl_s).key("granted_ttl_s").number(r.granted_ttl_s);
    json.key("keys").open_array();
    for (const std::string& key : r.keys) {
      json.open_object();
      write_bytes(json, "key", key);
      json.close_object();
    }
    json.close_array();
  }
  void operator()(const kv::LeasesResponse& r) {
    json.key("leases").open_array();
    for (const kv::LeaseId id : r.ids) json.text(lease_text(id));
    json.close_array();
  }
  template <typename Other>  // only a revision to tell
  void operator()(const Other&) {}
};

}  // namespace

void write_bytes(api::JsonWriter& json, std::string_view name, std::string_view bytes) {
  if (simdjson::validate_utf8(bytes.data(), bytes.size())) {
    json.key(name).text(bytes);
    return;
  }
  std::string encoded;
  otlp::append_base64(bytes, encoded);
  json.key(std::string(name) + "_base64").text(encoded);
}

void write_key_value(api::JsonWriter& json, const kv::KeyValue& kv) {
  json.open_object();
  write_bytes(json, "key", kv.key);
  write_bytes(json, "value", kv.value);
  json.key("version").number(kv.version).key("create_revision").number(kv.create_revision);
  json.key("mod_revision").number(kv.mod_revision);
  if (kv.lease != kv::kNoLease) json.key("lease").text(lease_text(kv.lease));
  json.close_object();
}

void write_response(api::JsonWriter& json, const kv::Response& response) {
  json.open_object();
  json.key("revision").number(std::visit([](const auto& r) { return r.revision; }, response));
  std::visit(Fields{json}, response);
  json.close_object();
}

std::string readable_bytes(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = otlp::utf8_length(bytes, at);
    const auto first = static_cast<unsigned char>(bytes[at]);
    // U+0080 to U+009F are control characters, too.
    const bool control = first < 0x20 || first == 0x7f ||
                         (length == 2 && first == 0xc2 && static_cast<unsigned char>(bytes[at + 1]) < 0xa0);
    if (length == 0 || control) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", first);
      out += escaped;
      ++at;
    } else {
      out.append(bytes, at, length);
      at += length;
    }
  }
  return out;
}

std::string lease_text(kv::LeaseId id) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(kv::number(id)));
  return text;
}

bool parse_lease_id(std::string_view text, kv::LeaseId& id) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  const char* const end = text.data() + text.size();
  if (hex) {
    uint64_t bits = 0;
    const auto [at, error] = std::from_chars(text.data(), end, bits, 16);
    id = kv::LeaseId{static_cast<int64_t>(bits)};
    return error == std::errc() && at == end;
  }
  int64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), end, number);
  id = kv::LeaseId{number};
  return error == std::errc() && at == end;
}

}  // namespace clew::app
