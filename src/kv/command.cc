#include "kv/command.h"

#include <algorithm>
#include <type_traits>

#include "kv/codec.h"

namespace clew::kv {

Request::Request() = default;
Request::Request(const Request&) = default;
Request::Request(Request&&) noexcept = default;
Request& Request::operator=(const Request&) = default;
Request& Request::operator=(Request&&) noexcept = default;
Request::~Request() = default;

Response::Response() = default;
Response::Response(const Response&) = default;
Response::Response(Response&&) noexcept = default;
Response& Response::operator=(const Response&) = default;
Response& Response::operator=(Response&&) noexcept = default;
Response::~Response() = default;

namespace {

// First byte of a request and of a response. A change of the encoding is another number; both are then read.
constexpr uint8_t kRequestFormat = 1;
constexpr uint8_t kResponseFormat = 1;

// The fields of each value in their order. T is the value or a const of it.
template <typename A, typename T>
constexpr bool kIs = std::is_same_v<std::remove_const_t<A>, T>;

template <typename Archive, typename T>
void fields(Archive& a, T& v) {
  if constexpr (kIs<T, std::monostate> || kIs<T, LeasesRequest>) {
    // nothing
  } else if constexpr (kIs<T, std::string> || kIs<T, int64_t> || kIs<T, LeaseId>) {
    a(v);
  } else if constexpr (kIs<T, KeyValue>) {
    a(v.key), a(v.create_revision), a(v.mod_revision), a(v.version), a(v.lease), a(v.value);
  } else if constexpr (kIs<T, RangeRequest>) {
    a(v.key), a(v.range_end), a(v.limit), a(v.revision);
    a.choice(v.sort_order, SortOrder::kDescend), a.choice(v.sort_target, SortTarget::kValue);
    a.flags(v.keys_only, v.count_only, v.uncounted);
    a(v.min_mod_revision), a(v.max_mod_revision), a(v.min_create_revision), a(v.max_create_revision);
  } else if constexpr (kIs<T, PutRequest>) {
    a.flags(v.prev_kv, v.ignore_value, v.ignore_lease), a(v.key), a(v.lease), a(v.value);
  } else if constexpr (kIs<T, DeleteRangeRequest>) {
    a.flags(v.prev_kv), a(v.key), a(v.range_end);
  } else if constexpr (kIs<T, Compare>) {
    a.choice(v.result, Compare::Result::kNotEqual), a.choice(v.target, Compare::Target::kLease);
    a(v.key), a(v.range_end), a(v.number), a(v.value);
  } else if constexpr (kIs<T, TxnRequest>) {
    if constexpr (kIs<Archive, Reader>) a.enter_txn();
    a.list(v.compare), a.list(v.success), a.list(v.failure);
    if constexpr (kIs<Archive, Reader>) a.leave_txn();
  } else if constexpr (kIs<T, RequestOp> || kIs<T, ResponseOp>) {
    if constexpr (kIs<Archive, Reader>) a.count_op();
    a.one_of(v.op);
  } else if constexpr (kIs<T, CompactRequest>) {
    a(v.revision);
  } else if constexpr (kIs<T, AppendRequest>) {
    a(v.key), a(v.suffix);
  } else if constexpr (kIs<T, CompareAndSetRequest>) {
    a.choice(v.expect, CompareAndSetRequest::Expect::kModRevision);
    a(v.key), a(v.expected_value), a(v.expected_mod_revision), a(v.value), a(v.lease);
  } else if constexpr (kIs<T, CustomRequest>) {
    a(v.name), a(v.version), a(v.arguments);
  } else if constexpr (kIs<T, LeaseGrantRequest>) {
    a(v.id), a(v.ttl_s);
  } else if constexpr (kIs<T, LeaseRevokeRequest>) {
    a(v.id);
  } else if constexpr (kIs<T, LeaseKeepAliveRequest>) {
    a.list(v.ids);
  } else if constexpr (kIs<T, LeaseExtendRequest>) {
    a(v.reign);
  } else if constexpr (kIs<T, LeaseExpireRequest>) {
    a(v.reign), a(v.as_of_ns);
  } else if constexpr (kIs<T, LeaseTimeToLiveRequest>) {
    a(v.id), a.flags(v.keys), a(v.now_ns);
  } else if constexpr (kIs<T, HashRequest> || kIs<T, CompactResponse> || kIs<T, LeaseRevokeResponse> ||
                       kIs<T, LeaseExtendResponse>) {
    a(v.revision);
  } else if constexpr (kIs<T, RangeResponse>) {
    a(v.revision), a.list(v.kvs), a.flags(v.more), a(v.count);
  } else if constexpr (kIs<T, PutResponse>) {
    a(v.revision), a.maybe(v.prev_kv);
  } else if constexpr (kIs<T, DeleteRangeResponse>) {
    a(v.revision), a(v.deleted), a.list(v.prev_kvs);
  } else if constexpr (kIs<T, TxnResponse>) {
    if constexpr (kIs<Archive, Reader>) a.enter_txn();
    a(v.revision), a.flags(v.succeeded), a.list(v.responses);
    if constexpr (kIs<Archive, Reader>) a.leave_txn();
  } else if constexpr (kIs<T, AppendResponse>) {
    a(v.revision), a(v.size);
  } else if constexpr (kIs<T, CompareAndSetResponse>) {
    a(v.revision), a.flags(v.swapped), a.maybe(v.current);
  } else if constexpr (kIs<T, CustomResponse>) {
    a(v.revision), a(v.result);
  } else if constexpr (kIs<T, LeaseGrantResponse>) {
    a(v.revision), a(v.id), a(v.ttl_s);
  } else if constexpr (kIs<T, LeaseKeepAliveResponse>) {
    a(v.revision), a.list(v.ttl_s);
  } else if constexpr (kIs<T, LeaseExpireResponse>) {
    a(v.revision), a.list(v.revoked), a.flags(v.more);
  } else if constexpr (kIs<T, LeaseTimeToLiveResponse>) {
    a(v.revision), a(v.id), a(v.ttl_s), a(v.granted_ttl_s), a.list(v.keys);
  } else if constexpr (kIs<T, LeasesResponse>) {
    a(v.revision), a.list(v.ids);
  } else {
    static_assert(kIs<T, HashResponse>, "a value without a list of fields");
    a(v.revision), a(v.compact_revision), a(v.hash);
  }
}

}  // namespace

template <typename T>
void Writer::value(const T& item) {
  fields(*this, item);
}

template <typename T>
void Reader::value(T& item) {
  if (ok()) fields(*this, item);
}

bool operator==(const RequestOp& a, const RequestOp& b) { return a.op == b.op; }
bool operator==(const TxnRequest& a, const TxnRequest& b) {
  return a.compare == b.compare && a.success == b.success && a.failure == b.failure;
}
bool operator==(const ResponseOp& a, const ResponseOp& b) { return a.op == b.op; }
bool operator==(const TxnResponse& a, const TxnResponse& b) {
  return a.revision == b.revision && a.succeeded == b.succeeded && a.responses == b.responses;
}

bool read_only(const TxnRequest& request) {
  // As etcd has it: a transaction with an inner one is a write, even when that only reads.
  const auto range = [](const RequestOp& op) { return std::holds_alternative<RangeRequest>(op.op); };
  return std::all_of(request.success.begin(), request.success.end(), range) &&
         std::all_of(request.failure.begin(), request.failure.end(), range);
}

bool read_only(const Request& request) {
  if (const auto* txn = std::get_if<TxnRequest>(&request)) return read_only(*txn);
  return std::holds_alternative<RangeRequest>(request) || std::holds_alternative<LeaseTimeToLiveRequest>(request) ||
         std::holds_alternative<LeasesRequest>(request) || std::holds_alternative<HashRequest>(request);
}

std::string encode(const Request& request, std::string_view prefix) {
  std::string out;
  if (const auto* put = std::get_if<PutRequest>(&request)) {
    out.reserve(prefix.size() + put->key.size() + put->value.size() + 3 * kMaxVarintBytes + 3);
  }
  out += prefix;
  append_encoded(out, request);
  return out;
}

void append_encoded(std::string& out, const Request& request) {
  out.push_back(static_cast<char>(kRequestFormat));
  Writer(out).one_of(request);
}

Result<Request> decode_request(std::string_view bytes) {
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != kRequestFormat) {
    return Error{Code::kInvalidArgument, "key-value request: unknown format; the sender is of another version"};
  }
  Reader in(bytes.substr(1));
  Request request;
  in.one_of(request);
  if (!in.complete()) {
    return Error{Code::kInvalidArgument, "key-value request: truncated, too deep, or followed by more"};
  }
  return request;
}

std::string encode(const Result<Response>& response) {
  std::string out;
  if (response.ok()) {
    append_encoded(out, *response);
  } else {
    out.push_back(static_cast<char>(kResponseFormat));
    out.push_back(static_cast<char>(response.error().code));
    append_bytes(out, response.error().message);
  }
  return out;
}

void append_encoded(std::string& out, const Response& response) {
  out.push_back(static_cast<char>(kResponseFormat));
  out.push_back(0);
  Writer(out).one_of(response);
}

Result<Response> decode_response(std::string_view bytes) {
  const Error bad{Code::kDataLoss, "key-value response: truncated, or of an unknown format"};
  if (bytes.size() < 2 || static_cast<uint8_t>(bytes[0]) != kResponseFormat) return bad;
  const auto code = static_cast<uint8_t>(bytes[1]);
  Reader in(bytes.substr(2));
  if (code != 0) {
    std::string message;
    in(message);
    if (!in.complete() || code > static_cast<uint8_t>(Code::kUnauthenticated)) return bad;
    return Error{static_cast<Code>(code), std::move(message)};
  }
  Response response;
  in.one_of(response);
  if (!in.complete()) return bad;
  return response;
}

}  // namespace clew::kv
