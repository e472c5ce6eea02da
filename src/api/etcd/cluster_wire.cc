#include "api/etcd/cluster_wire.h"

namespace clew::api::etcd {
namespace {

void write_member(Writer& writer, uint32_t number, const control::MemberStatus& member) {
  Writer inner(writer, number);
  write_uint(inner, 1, consensus::number(member.record.id));
  write_bytes(inner, 2, member.record.name);
  for (const std::string& url : member.record.peer_urls) inner.add_bytes(3, url);
  for (const std::string& url : member.record.etcd_urls) inner.add_bytes(4, url);
  write_bool(inner, 5, member.role == control::MemberRole::kLearner);
}

std::string_view alarm_name(control::AlarmKind kind) {
  return kind == control::AlarmKind::kNoSpace ? "NOSPACE" : "CORRUPT";
}

}  // namespace

Result<MemberAdd> decode_member_add(std::string_view message) {
  return decode<MemberAdd>(message, [](Reader& reader, MemberAdd& out) -> Status {
    switch (reader.tag_and_type()) {
      case bytes(1):
        out.peer_urls.push_back(string_of(reader));
        break;
      case varint(2):
        out.learner = read_bool(reader);
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

Result<MemberUpdate> decode_member_update(std::string_view message) {
  return decode<MemberUpdate>(message, [](Reader& reader, MemberUpdate& out) -> Status {
    switch (reader.tag_and_type()) {
      case varint(1):
        out.id = consensus::NodeId{reader.get_uint64()};
        break;
      case bytes(2):
        out.peer_urls.push_back(string_of(reader));
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

Result<AlarmCommand> decode_alarm(std::string_view message) {
  return decode<AlarmCommand>(message, [](Reader& reader, AlarmCommand& out) -> Status {
    switch (reader.tag_and_type()) {
      case varint(1): {
        const int32_t action = reader.get_int32();
        if (action < 0 || action > 2) return Error{Code::kInvalidArgument, "an alarm action that does not exist"};
        out.action = static_cast<AlarmCommand::Action>(action);
        break;
      }
      case varint(2):
        out.member = reader.get_uint64();
        break;
      case varint(3): {
        const int32_t kind = reader.get_int32();
        if (kind < 0 || kind > 2) return Error{Code::kInvalidArgument, "an alarm that does not exist"};
        out.kind = static_cast<uint32_t>(kind);
        break;
      }
      default:
        reader.skip();
    }
    return {};
  });
}

Result<Credentials> decode_credentials(std::string_view message) {
  return decode<Credentials>(message, [](Reader& reader, Credentials& out) -> Status {
    switch (reader.tag_and_type()) {
      case bytes(1):
        out.name = string_of(reader);
        break;
      case bytes(2):
        out.password = string_of(reader);
        break;
      default:
        reader.skip();
    }
    return {};
  });
}

Result<uint64_t> decode_number(std::string_view message) {
  return decode<uint64_t>(message, [](Reader& reader, uint64_t& out) -> Status {
    if (reader.tag_and_type() == varint(1)) {
      out = reader.get_uint64();
    } else {
      reader.skip();
    }
    return {};
  });
}

Result<std::string> decode_text(std::string_view message) {
  return decode<std::string>(message, [](Reader& reader, std::string& out) -> Status {
    if (reader.tag_and_type() == bytes(1)) {
      out = string_of(reader);
    } else {
      reader.skip();
    }
    return {};
  });
}

std::string encode_members(const Header& header, const std::vector<control::MemberStatus>& members, uint32_t field) {
  return answer(header, [&](Writer& writer) {
    for (const control::MemberStatus& member : members) write_member(writer, field, member);
  });
}

std::string encode_member_added(const Header& header, const control::MemberStatus& added,
                                const std::vector<control::MemberStatus>& members) {
  return answer(header, [&](Writer& writer) {
    write_member(writer, 2, added);
    for (const control::MemberStatus& member : members) write_member(writer, 3, member);
  });
}

std::string encode_status(const Header& header, const control::GroupStatus& status, std::string_view version) {
  return answer(header, [&](Writer& writer) {
    write_bytes(writer, 2, version);
    write_uint(writer, 3, status.state_bytes);
    write_uint(writer, 4, consensus::number(status.consensus.leader));
    write_uint(writer, 5, status.consensus.committed);
    write_uint(writer, 6, status.consensus.epoch);
    write_uint(writer, 7, status.applied);
    if (status.consensus.leader == consensus::kNobody) writer.add_string(8, "etcdserver: no leader");
    for (const control::Alarm& alarm : status.alarms) {
      writer.add_string(8, "memberID:" + std::to_string(consensus::number(alarm.member)) +
                               " alarm:" + std::string(alarm_name(alarm.kind)) + " ");
    }
    for (const std::string& problem : status.problems) writer.add_string(8, problem);
    write_uint(writer, 9, status.state_bytes);
    for (const control::MemberStatus& member : status.members) {
      if (member.record.id == status.self) write_bool(writer, 10, member.role == control::MemberRole::kLearner);
    }
  });
}

std::string encode_alarms(const Header& header, const std::vector<control::Alarm>& alarms) {
  return answer(header, [&](Writer& writer) {
    for (const control::Alarm& alarm : alarms) {
      Writer inner(writer, 2);
      write_uint(inner, 1, consensus::number(alarm.member));
      write_uint(inner, 2, static_cast<uint64_t>(alarm.kind));
    }
  });
}

std::string encode_hash(const Header& header, uint32_t hash, kv::Revision compact_revision) {
  return answer(header, [&](Writer& writer) {
    write_uint(writer, 2, hash);
    write_int(writer, 3, compact_revision);
  });
}

std::string encode_snapshot(const Header& header, uint64_t remaining_bytes, std::string_view blob) {
  return answer(header, [&](Writer& writer) {
    write_uint(writer, 2, remaining_bytes);
    write_bytes(writer, 3, blob);
  });
}

std::string encode_token(const Header& header, std::string_view token) {
  return answer(header, [&](Writer& writer) { write_bytes(writer, 2, token); });
}

std::string encode_auth_status(const Header& header, bool enabled) {
  return answer(header, [&](Writer& writer) {
    write_bool(writer, 2, enabled);
    write_uint(writer, 3, 1);
  });
}

std::string encode_health(Serving serving) {
  std::string out = rpc::begin_message();
  Writer writer(out);
  write_uint(writer, 1, static_cast<uint64_t>(serving));
  return out;
}

}  // namespace clew::api::etcd
