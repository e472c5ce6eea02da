// Requests to the strong spaces and their answers, as values, and the bytes that stand for them in the log: what
// consensus::StateMachine gets as a command or a query, and gives as a result.
//
// Names, defaults and meaning of the fields are those of etcd's v3 API (rpc.proto); what etcd lacks is marked. The
// codec is versioned (first byte), canonical (equal values, equal bytes) and bounded: decoding allocates no more than a
// constant times the input, and refuses anything it does not know to the last bit. Values are not judged here (an empty
// key decodes): that is validate.h.
//
// Pure; any thread; O(bytes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "kv/types.h"

namespace clew::kv {

enum class SortOrder : uint8_t { kNone = 0, kAscend = 1, kDescend = 2 };
enum class SortTarget : uint8_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };

struct RangeRequest {
  std::string key;
  std::string range_end;
  int64_t limit = 0;      // 0 and below: none
  Revision revision = 0;  // 0: the present
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool keys_only = false;
  bool count_only = false;
  // Not in etcd: the walk ends where the limit is reached, so that a page costs what the page holds; `count` is -1
  // then. Other orders than that of the keys, and bounds of revisions, have to look at the whole range all the same.
  bool uncounted = false;
  Revision min_mod_revision = 0;  // 0: no bound; the same for the three below
  Revision max_mod_revision = 0;
  Revision min_create_revision = 0;
  Revision max_create_revision = 0;
  friend bool operator==(const RangeRequest&, const RangeRequest&) = default;
};

struct PutRequest {
  std::string key;
  std::string value;
  LeaseId lease = kNoLease;
  bool prev_kv = false;
  bool ignore_value = false;  // keep the key's value; it must exist
  bool ignore_lease = false;  // keep the key's lease; it must exist
  friend bool operator==(const PutRequest&, const PutRequest&) = default;
};

struct DeleteRangeRequest {
  std::string key;
  std::string range_end;
  bool prev_kv = false;
  friend bool operator==(const DeleteRangeRequest&, const DeleteRangeRequest&) = default;
};

struct Compare {
  enum class Result : uint8_t { kEqual = 0, kGreater = 1, kLess = 2, kNotEqual = 3 };
  enum class Target : uint8_t { kVersion = 0, kCreate = 1, kMod = 2, kValue = 3, kLease = 4 };
  Result result = Result::kEqual;
  Target target = Target::kVersion;
  std::string key;
  std::string range_end;  // holds when it holds for every key of the range
  int64_t number = 0;     // what version, revisions and lease are compared with
  std::string value;      // what the value is compared with
  friend bool operator==(const Compare&, const Compare&) = default;
};

struct RequestOp;
struct TxnRequest {
  std::vector<Compare> compare;  // all of them true: `success`, else `failure`
  std::vector<RequestOp> success;
  std::vector<RequestOp> failure;
};
struct RequestOp {
  // monostate: an operation that names nothing, which etcd refuses by "key not found".
  std::variant<std::monostate, RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest> op;
};
bool operator==(const TxnRequest& a, const TxnRequest& b);
bool operator==(const RequestOp& a, const RequestOp& b);

struct CompactRequest {
  Revision revision = 0;
  friend bool operator==(const CompactRequest&, const CompactRequest&) = default;
};

// Not in etcd: adds bytes to the end of a key's value, creating it where it is absent; the lease stays.
struct AppendRequest {
  std::string key;
  std::string suffix;
  friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};

// Not in etcd as one request: puts `value` if the key is as expected.
struct CompareAndSetRequest {
  enum class Expect : uint8_t { kAbsent = 0, kValue = 1, kModRevision = 2 };
  std::string key;
  Expect expect = Expect::kAbsent;
  std::string expected_value;
  Revision expected_mod_revision = 0;
  std::string value;
  LeaseId lease = kNoLease;
  friend bool operator==(const CompareAndSetRequest&, const CompareAndSetRequest&) = default;
};

// Not in etcd: a command registered in C++ by name and version: custom.h.
struct CustomRequest {
  std::string name;
  uint32_t version = 0;
  std::string arguments;
  friend bool operator==(const CustomRequest&, const CustomRequest&) = default;
};

struct LeaseGrantRequest {
  LeaseId id = kNoLease;  // kNoLease: the store chooses
  int64_t ttl_s = 0;
  friend bool operator==(const LeaseGrantRequest&, const LeaseGrantRequest&) = default;
};
struct LeaseRevokeRequest {
  LeaseId id = kNoLease;
  friend bool operator==(const LeaseRevokeRequest&, const LeaseRevokeRequest&) = default;
};
// Many at once, so that ten thousand clients do not cost ten thousand entries a heartbeat.
struct LeaseKeepAliveRequest {
  std::vector<LeaseId> ids;
  friend bool operator==(const LeaseKeepAliveRequest&, const LeaseKeepAliveRequest&) = default;
};
// Proposed by the leader, not by clients: lease.h says why there are two and what a reign is.
struct LeaseExtendRequest {
  uint64_t reign = 0;
  friend bool operator==(const LeaseExtendRequest&, const LeaseExtendRequest&) = default;
};
struct LeaseExpireRequest {
  uint64_t reign = 0;
  // Replicated time as the leader had it: what another member's clock took it ahead by since ends nothing.
  int64_t as_of_ns = INT64_MAX;
  friend bool operator==(const LeaseExpireRequest&, const LeaseExpireRequest&) = default;
};

// Reads of leases and of the digest: for query() only.
struct LeaseTimeToLiveRequest {
  LeaseId id = kNoLease;
  bool keys = false;
  // The asker's estimate of the group's time; what remains is counted from the later of it and replicated time, which
  // stands still while nothing is proposed.
  int64_t now_ns = 0;
  friend bool operator==(const LeaseTimeToLiveRequest&, const LeaseTimeToLiveRequest&) = default;
};
struct LeasesRequest {
  friend bool operator==(const LeasesRequest&, const LeasesRequest&) = default;
};
struct HashRequest {
  Revision revision = 0;  // 0: the present
  friend bool operator==(const HashRequest&, const HashRequest&) = default;
};

// A variant whose special members are compiled once, in command.cc: for every file that has one they cost the compiler
// much. Response is another.
struct Request
    : std::variant<PutRequest, DeleteRangeRequest, TxnRequest, CompactRequest, AppendRequest, CompareAndSetRequest,
                   CustomRequest, LeaseGrantRequest, LeaseRevokeRequest, LeaseKeepAliveRequest, LeaseExtendRequest,
                   LeaseExpireRequest, RangeRequest, LeaseTimeToLiveRequest, LeasesRequest, HashRequest> {
  using variant::variant;
  Request();
  Request(const Request&);
  Request(Request&&) noexcept;
  Request& operator=(const Request&);
  Request& operator=(Request&&) noexcept;
  ~Request();
};
// A query: it changes nothing, whatever the state. A transaction of ranges only is one.
bool read_only(const Request& request);
bool read_only(const TxnRequest& request);

// `revision` of every answer is that of the store after the request (etcd's header).
struct RangeResponse {
  Revision revision = 0;
  std::vector<KeyValue> kvs;
  bool more = false;
  int64_t count = 0;  // of the keys in the range, whatever limit and revision bounds left out; -1: not counted
  friend bool operator==(const RangeResponse&, const RangeResponse&) = default;
};
struct PutResponse {
  Revision revision = 0;
  std::optional<KeyValue> prev_kv;
  friend bool operator==(const PutResponse&, const PutResponse&) = default;
};
struct DeleteRangeResponse {
  Revision revision = 0;
  int64_t deleted = 0;
  std::vector<KeyValue> prev_kvs;
  friend bool operator==(const DeleteRangeResponse&, const DeleteRangeResponse&) = default;
};
struct ResponseOp;
struct TxnResponse {
  Revision revision = 0;  // of an inner transaction 0: etcd gives it an empty header
  bool succeeded = false;
  std::vector<ResponseOp> responses;
};
struct ResponseOp {
  std::variant<RangeResponse, PutResponse, DeleteRangeResponse, TxnResponse> op;
};
bool operator==(const TxnResponse& a, const TxnResponse& b);
bool operator==(const ResponseOp& a, const ResponseOp& b);
struct CompactResponse {
  Revision revision = 0;
  friend bool operator==(const CompactResponse&, const CompactResponse&) = default;
};
struct AppendResponse {
  Revision revision = 0;
  int64_t size = 0;  // of the value, in bytes, afterwards
  friend bool operator==(const AppendResponse&, const AppendResponse&) = default;
};
struct CompareAndSetResponse {
  Revision revision = 0;
  bool swapped = false;
  std::optional<KeyValue> current;  // when not swapped: what stood there, if anything
  friend bool operator==(const CompareAndSetResponse&, const CompareAndSetResponse&) = default;
};
struct CustomResponse {
  Revision revision = 0;
  std::string result;
  friend bool operator==(const CustomResponse&, const CustomResponse&) = default;
};
struct LeaseGrantResponse {
  Revision revision = 0;
  LeaseId id = kNoLease;
  int64_t ttl_s = 0;  // may be longer than was asked for
  friend bool operator==(const LeaseGrantResponse&, const LeaseGrantResponse&) = default;
};
struct LeaseRevokeResponse {
  Revision revision = 0;
  friend bool operator==(const LeaseRevokeResponse&, const LeaseRevokeResponse&) = default;
};
struct LeaseKeepAliveResponse {
  Revision revision = 0;
  std::vector<int64_t> ttl_s;  // in the order of the request; 0: there is no such lease
  friend bool operator==(const LeaseKeepAliveResponse&, const LeaseKeepAliveResponse&) = default;
};
struct LeaseExtendResponse {
  Revision revision = 0;
  friend bool operator==(const LeaseExtendResponse&, const LeaseExtendResponse&) = default;
};
struct LeaseExpireResponse {
  Revision revision = 0;
  std::vector<LeaseId> revoked;
  bool more = false;  // others are due: propose again
  friend bool operator==(const LeaseExpireResponse&, const LeaseExpireResponse&) = default;
};
struct LeaseTimeToLiveResponse {
  Revision revision = 0;
  LeaseId id = kNoLease;
  int64_t ttl_s = -1;  // -1: there is no such lease
  int64_t granted_ttl_s = 0;
  std::vector<std::string> keys;  // ascending
  friend bool operator==(const LeaseTimeToLiveResponse&, const LeaseTimeToLiveResponse&) = default;
};
struct LeasesResponse {
  Revision revision = 0;
  std::vector<LeaseId> ids;  // the one that ends first comes first
  friend bool operator==(const LeasesResponse&, const LeasesResponse&) = default;
};
struct HashResponse {
  Revision revision = 0;
  Revision compact_revision = 0;
  Hash128 hash;
  friend bool operator==(const HashResponse&, const HashResponse&) = default;
};

struct Response : std::variant<PutResponse, DeleteRangeResponse, TxnResponse, CompactResponse, AppendResponse,
                               CompareAndSetResponse, CustomResponse, LeaseGrantResponse, LeaseRevokeResponse,
                               LeaseKeepAliveResponse, LeaseExtendResponse, LeaseExpireResponse, RangeResponse,
                               LeaseTimeToLiveResponse, LeasesResponse, HashResponse> {
  using variant::variant;
  Response();
  Response(const Response&);
  Response(Response&&) noexcept;
  Response& operator=(const Response&);
  Response& operator=(Response&&) noexcept;
  ~Response();
};

// Bounds of the decoder. Operations are counted over all levels of a transaction; what etcd's clients may send is
// smaller (validate.h), this only keeps memory and stack bounded.
constexpr size_t kMaxDecodedOps = 65'536;
constexpr int kMaxTxnDepth = 128;

// Behind `prefix`, in one allocation for what is large.
std::string encode(const Request& request, std::string_view prefix = {});
void append_encoded(std::string& out, const Request& request);
Result<Request> decode_request(std::string_view bytes);  // kInvalidArgument; untrusted
std::string encode(const Result<Response>& response);
void append_encoded(std::string& out, const Response& response);  // what encode() makes of a response that is no error
// The error that encode() was given, or kDataLoss when the bytes are no response.
Result<Response> decode_response(std::string_view bytes);

}  // namespace clew::kv
