#include "api/kv_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "api/clew_request.h"
#include "api/json_writer.h"
#include "otlp/base64.h"
#include "otlp/text_coder.h"

namespace clew::api {
namespace {

constexpr int64_t kTimeout = 2'000'000'000;
constexpr std::array<std::string_view, 8> kParameters = {"prefix", "delimiter", "from",     "limit",
                                                         "key",    "bytes",     "revision", "consistency"};

void append_bytes_member(std::string_view name, std::string_view bytes, JsonWriter& json) {
  if (otlp::valid_utf8(bytes)) {
    json.key(name).text(bytes);
    return;
  }
  std::string encoded;
  otlp::append_base64(bytes, encoded);
  json.key(std::string(name) + "Base64").text(encoded);
}

// As etcdctl prints them: hexadecimal.
std::string lease_text(kv::LeaseId id) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(kv::number(id)));
  return text.data();
}

void append_versions(const kv::KeyValue& kv, JsonWriter& json) {
  json.key("createRevision").quoted(kv.create_revision).key("modRevision").quoted(kv.mod_revision);
  json.key("version").quoted(kv.version).key("lease");
  if (kv.lease == kv::kNoLease) {
    json.null();
  } else {
    json.text(lease_text(kv.lease));
  }
}

struct Asked {
  std::string prefix, delimiter, from;
  uint32_t limit = kKvDefaultKeys;
  std::optional<std::string> key;
  uint32_t bytes = kKvDefaultValueBytes;
  kv::Revision revision = 0;
  control::CallOptions options;
};

Result<Asked> read_asked(const HttpRequest& request) {
  CLEW_TRY(check_parameters(request, kParameters));
  const QueryParams& params = request.params();
  Asked asked;
  asked.options.timeout_ns = kTimeout;
  asked.key = params.get("key");
  asked.prefix = params.get("prefix").value_or("");
  asked.delimiter = params.get("delimiter").value_or("");
  asked.from = params.get("from").value_or("");
  if (asked.key && asked.key->empty())
    return Error{Code::kInvalidArgument, "parameter 'key' is empty: name a key, or list with 'prefix'"};
  if (asked.key && (!asked.prefix.empty() || !asked.from.empty() || !asked.delimiter.empty()))
    return Error{Code::kInvalidArgument, "give 'key' for one key, or 'prefix', 'delimiter' and 'from' for a list"};
  CLEW_ASSIGN(asked.limit, limit_param(request, "limit", kKvDefaultKeys, kKvMaxKeys));
  CLEW_ASSIGN(asked.bytes, limit_param(request, "bytes", kKvDefaultValueBytes, kKvMaxValueBytes));
  std::optional<int64_t> revision;
  CLEW_ASSIGN(revision, int_param(request, "revision"));
  if (revision && *revision < 0)
    return Error{Code::kInvalidArgument, "parameter 'revision' must be 0 (the present) or a revision of the store"};
  asked.revision = revision.value_or(0);
  if (const auto name = params.get("consistency"); name && !name->empty()) {
    const auto level = control::parse_consistency(*name);
    if (!level)
      return Error{Code::kInvalidArgument, "parameter 'consistency' must be linearizable, lease or sequential"};
    asked.options.consistency = *level;
  }
  return asked;
}

void append_head(control::Consistency level, kv::Revision present, kv::Revision read_at, consensus::Position position,
                 JsonWriter& json) {
  json.open_object().key("revision").quoted(present).key("readRevision").quoted(read_at);
  json.key("position").quoted_unsigned(position).key("consistency").text(control::consistency_name(level));
}

HttpResponse failure(const control::CallError& error) { return clew_failure({error.code, error.message}); }

// One page of a list, read step by step. It keeps itself alive by the read that is under way; on the service's loop.
class Listing : public std::enable_shared_from_this<Listing> {
 public:
  Listing(control::Service& service, Asked asked, HttpDone done)
      : service_(service),
        asked_(std::move(asked)),
        done_(std::move(done)),
        level_(asked_.options.consistency),
        end_(kv::prefix_end(asked_.prefix)),
        cursor_(std::max({asked_.prefix, asked_.from, std::string(1, '\0')})),
        json_(entries_),
        read_at_(asked_.revision) {
    json_.open_array();
  }

  void step() {
    if (last_ || !kv::KeyRange{cursor_, end_}.contains(cursor_)) return finish(false);
    kv::RangeRequest request;
    request.key = cursor_;
    request.range_end = end_;
    // Of a full page that ends with a folder one key tells whether anything is behind it.
    request.limit = std::clamp<int64_t>(int64_t{asked_.limit} - listed_, 1, kKvStepKeys);
    request.revision = read_at_;
    request.keys_only = true;
    request.uncounted = true;
    service_.execute(kv::Space::kUser, std::move(request), asked_.options,
                     [self = shared_from_this()](std::variant<control::CallReply, control::CallError> answer) {
                       self->take(std::move(answer));
                     });
  }

 private:
  void take(std::variant<control::CallReply, control::CallError> answer) {
    if (const auto* error = std::get_if<control::CallError>(&answer)) return done_(failure(*error));
    const auto& reply = std::get<control::CallReply>(answer);
    const auto* range = std::get_if<kv::RangeResponse>(&reply.response);
    if (range == nullptr) return done_(clew_failure({Code::kInternal, "an answer of another kind than asked for"}));
    if (++steps_ == 1) {
      present_ = range->revision;
      position_ = reply.position;
      if (read_at_ == 0) read_at_ = present_;
      // What follows is read at the revision of the first step, which this node's state has.
      asked_.options.consistency = control::Consistency::kSequential;
      asked_.options.at_least = position_;
    }
    if (listed_ >= asked_.limit) return finish(!range->kvs.empty());
    bool in_folder = false;
    for (const kv::KeyValue& kv : range->kvs) {
      if (!last_ && kv.key >= cursor_) in_folder = add(kv);  // what is below stands in a folder that is told
    }
    if (!range->more) return finish(false);
    const bool full = listed_ >= asked_.limit && !in_folder;
    if (full || steps_ >= kKvMaxSteps || bytes_ >= kKvMaxListBytes) return finish(!last_);
    step();
  }

  // True when it stands in a folder.
  bool add(const kv::KeyValue& kv) {
    ++listed_;
    const size_t at =
        asked_.delimiter.empty() ? std::string::npos : kv.key.find(asked_.delimiter, asked_.prefix.size());
    json_.open_object();
    if (at == std::string::npos) {
      bytes_ += kv.key.size();
      append_bytes_member("key", kv.key, json_);
      append_versions(kv, json_);
      cursor_ = kv.key + '\0';
    } else {
      const std::string folder = kv.key.substr(0, at + asked_.delimiter.size());
      bytes_ += folder.size();
      append_bytes_member("folder", folder, json_);
      cursor_ = kv::prefix_end(folder);
      last_ = cursor_ == std::string(1, '\0');  // no key can be behind it
    }
    json_.close_object();
    return at != std::string::npos;
  }

  void finish(bool more) {
    json_.close_array();
    std::string body;
    JsonWriter json(body);
    append_head(level_, present_, read_at_, position_, json);
    append_bytes_member("prefix", asked_.prefix, json);
    json.key("entries").raw(entries_);
    if (more) {
      append_bytes_member("next", cursor_, json);
    } else {
      json.key("next").null();
    }
    json.close_object();
    done_(json_response(std::move(body)));
  }

  control::Service& service_;
  Asked asked_;
  HttpDone done_;
  const control::Consistency level_;  // that was asked for
  const std::string end_;
  std::string cursor_;  // the next key to look at
  std::string entries_;
  JsonWriter json_;
  kv::Revision read_at_ = 0, present_ = 0;
  consensus::Position position_ = 0;
  uint32_t listed_ = 0, steps_ = 0;
  size_t bytes_ = 0;
  bool last_ = false;
};

HttpResponse value_reply(const Asked& asked, const control::CallReply& reply, const kv::RangeResponse& range) {
  if (range.kvs.empty()) {
    return clew_failure({Code::kNotFound, asked.revision == 0
                                              ? "there is no such key"
                                              : "there was no such key at revision " + std::to_string(asked.revision)});
  }
  const kv::KeyValue& kv = range.kvs.front();
  std::string body;
  JsonWriter json(body);
  append_head(asked.options.consistency, range.revision, asked.revision == 0 ? range.revision : asked.revision,
              reply.position, json);
  append_bytes_member("key", kv.key, json);
  append_versions(kv, json);
  json.key("valueBytes").unsigned_number(kv.value.size());
  append_bytes_member("value", std::string_view(kv.value).substr(0, asked.bytes), json);
  json.key("truncated").boolean(kv.value.size() > asked.bytes).close_object();
  return json_response(std::move(body));
}

void one_key(control::Service& service, Asked asked, HttpDone done) {
  kv::RangeRequest request;
  request.key = *asked.key;
  request.revision = asked.revision;
  const control::CallOptions options = asked.options;
  service.execute(kv::Space::kUser, std::move(request), options,
                  [asked = std::move(asked),
                   done = std::move(done)](std::variant<control::CallReply, control::CallError> answer) mutable {
                    if (const auto* error = std::get_if<control::CallError>(&answer)) return done(failure(*error));
                    const auto& reply = std::get<control::CallReply>(answer);
                    const auto* range = std::get_if<kv::RangeResponse>(&reply.response);
                    if (range == nullptr)
                      return done(clew_failure({Code::kInternal, "an answer of another kind than asked for"}));
                    done(value_reply(asked, reply, *range));
                  });
}

}  // namespace

void add_kv_routes(HttpRouter& router, control::Service& service) {
  router.add("GET", "/api/clew/kv", [&service](const RequestPtr& request, HttpDone done) {
    auto asked = read_asked(*request);
    if (!asked.ok()) return done(clew_failure(asked.error()));
    if (asked->key) return one_key(service, std::move(*asked), std::move(done));
    std::make_shared<Listing>(service, std::move(*asked), std::move(done))->step();
  });
}

}  // namespace clew::api
