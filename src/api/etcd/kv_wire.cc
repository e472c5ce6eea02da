#include "api/etcd/kv_wire.h"

#include <utility>
#include <variant>

#include "kv/validate.h"

namespace clew::api::etcd {
namespace {

Status read_field(Reader& reader, Decoded<kv::RangeRequest>& out) {
  kv::RangeRequest& request = out.request;
  switch (reader.tag_and_type()) {
    case bytes(1):
      request.key = string_of(reader);
      break;
    case bytes(2):
      request.range_end = string_of(reader);
      break;
    case varint(3):
      request.limit = reader.get_int64();
      break;
    case varint(4):
      request.revision = reader.get_int64();
      break;
    case varint(5): {
      const int32_t order = reader.get_int32();
      if (order < 0 || order > 2) return kv::errors::invalid_sort_option();
      request.sort_order = static_cast<kv::SortOrder>(order);
      break;
    }
    case varint(6): {
      const int32_t target = reader.get_int32();
      if (target < 0 || target > 4) return kv::errors::invalid_sort_option();
      request.sort_target = static_cast<kv::SortTarget>(target);
      break;
    }
    case varint(7):
      out.serializable = read_bool(reader);
      break;
    case varint(8):
      request.keys_only = read_bool(reader);
      break;
    case varint(9):
      request.count_only = read_bool(reader);
      break;
    case varint(10):
      request.min_mod_revision = reader.get_int64();
      break;
    case varint(11):
      request.max_mod_revision = reader.get_int64();
      break;
    case varint(12):
      request.min_create_revision = reader.get_int64();
      break;
    case varint(13):
      request.max_create_revision = reader.get_int64();
      break;
    default:
      reader.skip();
  }
  return {};
}

Status read_field(Reader& reader, kv::PutRequest& request) {
  switch (reader.tag_and_type()) {
    case bytes(1):
      request.key = string_of(reader);
      break;
    case bytes(2):
      request.value = string_of(reader);
      break;
    case varint(3):
      request.lease = kv::LeaseId{reader.get_int64()};
      break;
    case varint(4):
      request.prev_kv = read_bool(reader);
      break;
    case varint(5):
      request.ignore_value = read_bool(reader);
      break;
    case varint(6):
      request.ignore_lease = read_bool(reader);
      break;
    default:
      reader.skip();
  }
  return {};
}

Status read_field(Reader& reader, kv::DeleteRangeRequest& request) {
  switch (reader.tag_and_type()) {
    case bytes(1):
      request.key = string_of(reader);
      break;
    case bytes(2):
      request.range_end = string_of(reader);
      break;
    case varint(3):
      request.prev_kv = read_bool(reader);
      break;
    default:
      reader.skip();
  }
  return {};
}

// What is compared with, before it is known as what. A comparison whose operand is of another kind compares with
// zero or nothing, as etcd has it.
struct Operand {
  uint32_t number = 0;  // of the field; 0: none was given
  int64_t integer = 0;
  std::string value;
};

Result<kv::Compare> decode_compare(std::string_view message) {
  struct Raw {
    kv::Compare compare;
    Operand operand;
  };
  CLEW_ASSIGN(Raw raw, decode<Raw>(message, [](Reader& reader, Raw& out) -> Status {
                switch (reader.tag_and_type()) {
                  case varint(1): {
                    const int32_t result = reader.get_int32();
                    if (result < 0 || result > 3) {
                      return Error{Code::kInvalidArgument, "a comparison of kind " + std::to_string(result) +
                                                               "; there are EQUAL, GREATER, LESS and NOT_EQUAL"};
                    }
                    out.compare.result = static_cast<kv::Compare::Result>(result);
                    break;
                  }
                  case varint(2): {
                    const int32_t target = reader.get_int32();
                    if (target < 0 || target > 4) {
                      return Error{Code::kInvalidArgument, "a comparison of field " + std::to_string(target) +
                                                               "; there are VERSION, CREATE, MOD, VALUE and LEASE"};
                    }
                    out.compare.target = static_cast<kv::Compare::Target>(target);
                    break;
                  }
                  case bytes(3):
                    out.compare.key = string_of(reader);
                    break;
                  case varint(4):
                  case varint(5):
                  case varint(6):
                  case varint(8):
                    out.operand.number = reader.tag();
                    out.operand.integer = reader.get_int64();
                    break;
                  case bytes(7):
                    out.operand.number = 7;
                    out.operand.value = string_of(reader);
                    break;
                  case bytes(64):
                    out.compare.range_end = string_of(reader);
                    break;
                  default:
                    reader.skip();
                }
                return {};
              }));
  static constexpr uint32_t kFieldOf[] = {4, 5, 6, 7, 8};
  if (raw.operand.number == kFieldOf[static_cast<size_t>(raw.compare.target)]) {
    raw.compare.number = raw.operand.integer;
    raw.compare.value = std::move(raw.operand.value);
  }
  return std::move(raw.compare);
}

struct Serializable {
  bool reads_only = true;
  bool all = true;
};

Result<kv::TxnRequest> decode_txn(std::string_view message, int depth, Serializable& serializable);

Result<kv::RequestOp> decode_op(std::string_view message, int depth, Serializable& serializable) {
  // The last of several counts: only that one may be heard in what is serializable.
  struct Raw {
    uint32_t number = 0;
    std::string_view part;
  };
  CLEW_ASSIGN(const Raw raw, decode<Raw>(message, [](Reader& reader, Raw& out) -> Status {
                switch (reader.tag_and_type()) {
                  case bytes(1):
                  case bytes(2):
                  case bytes(3):
                  case bytes(4):
                    out.number = reader.tag();
                    out.part = view_of(reader.get_view());
                    break;
                  default:
                    reader.skip();
                }
                return {};
              }));
  kv::RequestOp op;
  switch (raw.number) {
    case 1: {
      CLEW_ASSIGN(auto range, decode_range(raw.part));
      serializable.all = serializable.all && range.serializable;
      op.op = std::move(range.request);
      break;
    }
    case 2: {
      CLEW_ASSIGN(auto put, decode_put(raw.part));
      serializable.reads_only = false;
      op.op = std::move(put);
      break;
    }
    case 3: {
      CLEW_ASSIGN(auto erase, decode_delete_range(raw.part));
      serializable.reads_only = false;
      op.op = std::move(erase);
      break;
    }
    case 4: {
      serializable.all = false;  // as etcd has it: only ranges of the outer transaction make it one
      CLEW_ASSIGN(auto inner, decode_txn(raw.part, depth + 1, serializable));
      op.op = std::move(inner);
      break;
    }
    default:
      break;  // names nothing: kv/validate.h refuses it
  }
  return op;
}

Result<kv::TxnRequest> decode_txn(std::string_view message, int depth, Serializable& serializable) {
  if (depth > kv::kMaxTxnDepth) return kv::errors::too_many_ops();
  return decode<kv::TxnRequest>(message, [&](Reader& reader, kv::TxnRequest& out) -> Status {
    switch (reader.tag_and_type()) {
      case bytes(1): {
        CLEW_ASSIGN(auto compare, decode_compare(view_of(reader.get_view())));
        out.compare.push_back(std::move(compare));
        if (out.compare.size() > kv::kMaxTxnOps) return kv::errors::too_many_ops();
        break;
      }
      case bytes(2):
      case bytes(3): {
        auto& branch = reader.tag() == 2 ? out.success : out.failure;
        CLEW_ASSIGN(auto op, decode_op(view_of(reader.get_view()), depth, serializable));
        branch.push_back(std::move(op));
        if (branch.size() > kv::kMaxTxnOps) return kv::errors::too_many_ops();
        break;
      }
      default:
        reader.skip();
    }
    return {};
  });
}

void write_body(Writer& writer, const kv::RangeResponse& response) {
  for (const kv::KeyValue& kv : response.kvs) write_key_value(writer, 2, kv);
  write_bool(writer, 3, response.more);
  write_int(writer, 4, response.count);
}
void write_body(Writer& writer, const kv::PutResponse& response) {
  if (response.prev_kv) write_key_value(writer, 2, *response.prev_kv);
}
void write_body(Writer& writer, const kv::DeleteRangeResponse& response) {
  write_int(writer, 2, response.deleted);
  for (const kv::KeyValue& kv : response.prev_kvs) write_key_value(writer, 3, kv);
}
void write_body(Writer& writer, const kv::TxnResponse& response);

void write_op(Writer& writer, const kv::ResponseOp& op) {
  Writer outer(writer, 3);
  Writer inner(outer, static_cast<uint32_t>(op.op.index()) + 1);
  std::visit(
      [&](const auto& response) {
        write_header(inner, Header{.revision = response.revision});
        write_body(inner, response);
      },
      op.op);
}

void write_body(Writer& writer, const kv::TxnResponse& response) {
  write_bool(writer, 2, response.succeeded);
  for (const kv::ResponseOp& op : response.responses) write_op(writer, op);
}

template <typename T>
std::string encode_any(const Header& header, const T& response) {
  return answer(header, [&](Writer& writer) { write_body(writer, response); });
}

}  // namespace

Result<Decoded<kv::RangeRequest>> decode_range(std::string_view message) {
  return decode<Decoded<kv::RangeRequest>>(message, [](Reader& reader, auto& out) { return read_field(reader, out); });
}
Result<kv::PutRequest> decode_put(std::string_view message) {
  return decode<kv::PutRequest>(message, [](Reader& reader, auto& out) { return read_field(reader, out); });
}
Result<kv::DeleteRangeRequest> decode_delete_range(std::string_view message) {
  return decode<kv::DeleteRangeRequest>(message, [](Reader& reader, auto& out) { return read_field(reader, out); });
}
Result<Decoded<kv::TxnRequest>> decode_txn(std::string_view message) {
  Serializable serializable;
  CLEW_ASSIGN(auto request, decode_txn(message, 1, serializable));
  return Decoded<kv::TxnRequest>{std::move(request), serializable.reads_only && serializable.all};
}
Result<kv::CompactRequest> decode_compact(std::string_view message) {
  return decode<kv::CompactRequest>(message, [](Reader& reader, kv::CompactRequest& out) -> Status {
    if (reader.tag_and_type() == varint(1)) {
      out.revision = reader.get_int64();
    } else {
      reader.skip();  // `physical`: space comes back in steps anyway, and nobody waits for it
    }
    return {};
  });
}

void write_key_value(Writer& writer, uint32_t number, const kv::KeyValue& kv) {
  Writer inner(writer, number);
  write_bytes(inner, 1, kv.key);
  write_int(inner, 2, kv.create_revision);
  write_int(inner, 3, kv.mod_revision);
  write_int(inner, 4, kv.version);
  write_bytes(inner, 5, kv.value);
  write_int(inner, 6, kv::number(kv.lease));
}

std::string encode_range(const Header& header, const kv::RangeResponse& response) {
  return encode_any(header, response);
}
std::string encode_put(const Header& header, const kv::PutResponse& response) { return encode_any(header, response); }
std::string encode_delete_range(const Header& header, const kv::DeleteRangeResponse& response) {
  return encode_any(header, response);
}
std::string encode_txn(const Header& header, const kv::TxnResponse& response) { return encode_any(header, response); }

}  // namespace clew::api::etcd
