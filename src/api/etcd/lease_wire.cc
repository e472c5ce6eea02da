#include "api/etcd/lease_wire.h"

namespace clew::api::etcd {

Result<kv::LeaseGrantRequest> decode_lease_grant(std::string_view message) {
  return decode<kv::LeaseGrantRequest>(message, [](Reader& reader, kv::LeaseGrantRequest& out) -> Status {
    switch (reader.tag_and_type()) {
      case varint(1):
        out.ttl_s = reader.get_int64();
        break;
      case varint(2):
        out.id = kv::LeaseId{reader.get_int64()};
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

Result<kv::LeaseId> decode_lease_id(std::string_view message) {
  return decode<kv::LeaseId>(message, [](Reader& reader, kv::LeaseId& out) -> Status {
    if (reader.tag_and_type() == varint(1)) {
      out = kv::LeaseId{reader.get_int64()};
    } else {
      reader.skip();
    }
    return {};
  });
}

Result<kv::LeaseTimeToLiveRequest> decode_lease_time_to_live(std::string_view message) {
  return decode<kv::LeaseTimeToLiveRequest>(message, [](Reader& reader, kv::LeaseTimeToLiveRequest& out) -> Status {
    switch (reader.tag_and_type()) {
      case varint(1):
        out.id = kv::LeaseId{reader.get_int64()};
        break;
      case varint(2):
        out.keys = read_bool(reader);
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

std::string encode_lease_grant(const Header& header, const kv::LeaseGrantResponse& response) {
  return answer(header, [&](Writer& writer) {
    write_int(writer, 2, number(response.id));
    write_int(writer, 3, response.ttl_s);
  });
}

std::string encode_lease_keep_alive(const Header& header, kv::LeaseId id, int64_t ttl_s) {
  return answer(header, [&](Writer& writer) {
    write_int(writer, 2, number(id));
    write_int(writer, 3, ttl_s);
  });
}

std::string encode_lease_time_to_live(const Header& header, const kv::LeaseTimeToLiveResponse& response) {
  return answer(header, [&](Writer& writer) {
    write_int(writer, 2, number(response.id));
    write_int(writer, 3, response.ttl_s);
    write_int(writer, 4, response.granted_ttl_s);
    for (const std::string& key : response.keys) writer.add_bytes(5, key);
  });
}

std::string encode_leases(const Header& header, const kv::LeasesResponse& response) {
  return answer(header, [&](Writer& writer) {
    for (const kv::LeaseId id : response.ids) {
      Writer lease(writer, 2);
      write_int(lease, 1, number(id));
    }
  });
}

}  // namespace clew::api::etcd
