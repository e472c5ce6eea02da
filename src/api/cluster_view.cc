#include "api/cluster_view.h"

#include <memory>
#include <utility>
#include <variant>

#include "api/json_writer.h"
#include "api/query_common.h"
#include "base/hex.h"

namespace clew::api {
namespace {

constexpr int64_t kTimeout = 2'000'000'000;

void append_texts(const std::vector<std::string>& texts, JsonWriter& json) {
  json.open_array();
  for (const std::string& text : texts) json.text(text);
  json.close_array();
}

void append_member(const control::MemberStatus& member, JsonWriter& json) {
  const control::MemberRecord& record = member.record;
  json.open_object().key("id").quoted_unsigned(number(record.id)).key("name").text(record.name);
  json.key("role").text(member_role_name(member.role)).key("state").text(member_state_name(member.state));
  json.key("acknowledged").quoted_unsigned(member.acknowledged).key("behind").quoted_unsigned(member.behind);
  json.key("problem").text(member.problem).key("version").text(record.version);
  json.key("clientAddress").text(record.client_address).key("httpAddress").text(record.http_address);
  json.key("etcdUrls");
  append_texts(record.etcd_urls, json);
  json.key("peerUrls");
  append_texts(record.peer_urls, json);
  json.close_object();
}

}  // namespace

std::string cluster_json(const control::GroupStatus& status) {
  std::string body;
  JsonWriter json(body);
  const consensus::Report& report = status.consensus;
  json.open_object().key("cluster").text(status.cluster == 0 ? "" : hex16(status.cluster));
  json.key("founding").text(hex16(status.founding)).key("self").quoted_unsigned(number(status.self));
  json.key("protocol").text(status.protocol).key("standing").text(consensus::standing_name(report.standing));
  json.key("leader").quoted_unsigned(number(report.leader)).key("epoch").quoted_unsigned(report.epoch);
  json.key("leaderView").boolean(status.leader_view);
  json.key("positions").open_object();
  json.key("first").quoted_unsigned(report.first).key("last").quoted_unsigned(report.last);
  json.key("committed").quoted_unsigned(report.committed).key("applied").quoted_unsigned(status.applied);
  json.key("durable").quoted_unsigned(report.durable_position);
  json.key("snapshot").quoted_unsigned(report.snapshot.position).close_object();
  json.key("stateBytes").quoted_unsigned(status.state_bytes).key("quotaBytes").quoted_unsigned(status.quota_bytes);
  json.key("members").open_array();
  for (const control::MemberStatus& member : status.members) append_member(member, json);
  json.close_array().key("alarms").open_array();
  for (const control::Alarm& alarm : status.alarms) {
    json.open_object().key("member").quoted_unsigned(number(alarm.member));
    json.key("kind").text(alarm.kind == control::AlarmKind::kNoSpace ? "NOSPACE" : "CORRUPT").close_object();
  }
  json.close_array().key("problems");
  append_texts(status.problems, json);
  json.close_object();
  return body;
}

void add_cluster_routes(HttpRouter& router, control::Service& service) {
  router.add("GET", "/api/clew/cluster", [&service](const std::shared_ptr<const HttpRequest>&, HttpDone done) {
    control::CallOptions options;
    options.timeout_ns = kTimeout;
    service.status(options,
                   [done = std::move(done)](std::variant<control::GroupStatus, control::CallError> answer) mutable {
                     if (const auto* error = std::get_if<control::CallError>(&answer)) {
                       std::string body;
                       JsonWriter json(body);
                       json.open_object().key("error").open_object().key("code").text(code_name(error->code));
                       json.key("message").text(error->message).close_object().close_object();
                       return done(json_response(std::move(body), http_status_of(error->code)));
                     }
                     done(json_response(cluster_json(std::get<control::GroupStatus>(answer))));
                   });
  });
}

}  // namespace clew::api
