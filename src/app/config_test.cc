#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "api/test_certificates.h"

namespace clew::app {
namespace {

using ::testing::HasSubstr;

EnvironmentFn environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

Status read(std::string_view yaml, Config& config, std::map<std::string, std::string> values = {}) {
  config = default_config();
  return read_config(yaml, "clew.yaml", environment(std::move(values)), config);
}

TEST(Config, AnEmptyFileLeavesTheDefaults) {
  Config config;
  ASSERT_TRUE(read("", config).ok());
  EXPECT_EQ(print_config(config), print_config(default_config()));
  EXPECT_TRUE(check_config(config).ok()) << check_config(config).to_string();
}

TEST(Config, ReadsTheNamesThatCollectorUsersKnow) {
  Config config;
  const Status status = read(R"(
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "0.0.0.0:4317", tls: {cert_file: a.pem, key_file: b.pem}}
      http:
        endpoint: 0.0.0.0:4318
        cors: {allowed_origins: ["https://*.example.com"], max_age: 1h}
traces: {quiet_period: 2s, trace_timeout: 1m}
storage: {durability: os, retention: {max_age: 7d, max_bytes: 100GiB}}
)",
                             config);
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(config.servers.otlp_grpc.endpoint, "0.0.0.0:4317");
  EXPECT_EQ(config.servers.otlp_grpc.tls.key_file, "b.pem");
  EXPECT_THAT(config.servers.otlp_http.cors.allowed_origins, testing::ElementsAre("https://*.example.com"));
  EXPECT_EQ(config.servers.otlp_http.cors.max_age, 3600u);
  EXPECT_EQ(config.node.lifecycle.quiet_period_ns, 2'000'000'000);
  EXPECT_EQ(config.node.policy.quiet_period_ns, 2'000'000'000);
  EXPECT_EQ(config.node.durability, wal::Durability::kOs);
  EXPECT_EQ(config.node.retention.max_bytes, 100ull << 30);
}

TEST(Config, AnUnknownKeyIsRefusedWithItsLineAndTheNearestName) {
  Config config;
  const Status status = read("traces:\n  quiet_period: 5s\n  trace_timout: 30s\n", config);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("clew.yaml:3: 'trace_timout'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean 'trace_timeout'?"));
}

TEST(Config, AKeyThatStandsTwiceIsRefused) {
  Config config;
  EXPECT_THAT(read("loops: 1\nloops: 2\n", config).to_string(), HasSubstr("stands twice"));
}

TEST(Config, RefusesValuesOfTheWrongShapeWithTheirLine) {
  Config config;
  EXPECT_THAT(read("traces: 5\n", config).to_string(), HasSubstr("clew.yaml:1: 'traces' wants a section"));
  EXPECT_THAT(read("loops: [1]\n", config).to_string(), HasSubstr("wants a single value"));
  EXPECT_THAT(read("loops: many\n", config).to_string(), HasSubstr("'many' is not a whole number"));
  EXPECT_THAT(read("loops: -1\n", config).to_string(), HasSubstr("'-1' is not a whole number"));
  EXPECT_THAT(read("loops: 4294967296\n", config).to_string(), HasSubstr("is too large"));
  EXPECT_THAT(read("traces: {quiet_period: 5}\n", config).to_string(), HasSubstr("a duration like 5s"));
  EXPECT_THAT(read("limits: {memory: lots}\n", config).to_string(), HasSubstr("a size like 64MiB"));
  EXPECT_THAT(read("storage: {durability: maybe}\n", config).to_string(), HasSubstr("none of disk, os, memory"));
  EXPECT_THAT(read("a: [\n", config).to_string(), HasSubstr("not YAML"));
  EXPECT_THAT(read("- a\n", config).to_string(), HasSubstr("wants a section"));
}

TEST(Config, EnvironmentIsSubstitutedInScalarsOnly) {
  Config config;
  const std::string yaml = "storage: {directory: \"${env:DIR}/x\"}\nlog: {level: \"${env:LEVEL:-warn}\"}\n";
  ASSERT_TRUE(read(yaml, config, {{"DIR", "/d: [y"}}).ok());
  EXPECT_EQ(config.node.data_directory, "/d: [y/x");
  EXPECT_EQ(config.log_level, "warn");
  ASSERT_TRUE(read(yaml, config, {{"DIR", "/d"}, {"LEVEL", "debug"}}).ok());
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_THAT(read(yaml, config).to_string(), HasSubstr("environment variable DIR is not set"));
  ASSERT_TRUE(read("storage: {directory: \"$${env:DIR} $5\"}", config).ok());
  EXPECT_EQ(config.node.data_directory, "${env:DIR} $5");
}

TEST(Config, TokensGuardEveryListenerAndAreMaskedInPrint) {
  Config config;
  ASSERT_TRUE(read("auth: {bearer_tokens: [{token: s3cret, tenant: a}, {token: other}]}", config).ok());
  EXPECT_EQ(config.servers.http.auth.bearer_tokens.size(), 2u);
  EXPECT_EQ(config.servers.otlp_grpc.auth.bearer_tokens[0].tenant, "a");
  EXPECT_EQ(print_config(config).find("s3cret"), std::string::npos);
  EXPECT_FALSE(read("auth: {bearer_tokens: [{tenant: a}]}", config).ok());
}

TEST(Config, WhatIsPrintedReadsBack) {
  Config config;
  ASSERT_TRUE(read("traces: {quiet_period: 1500ms}\nloops: 3\nquery: {http: {endpoint: \"\"}}\n", config).ok());
  const std::string printed = print_config(config);
  Config again;
  const Status status = read(printed, again);
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(print_config(again), printed);
}

TEST(Config, ContradictionsAreNamed) {
  Config config;
  ASSERT_TRUE(read("traces: {quiet_period: 10s, trace_timeout: 5s}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("clew.yaml:1: traces.trace_timeout is below"));
  ASSERT_TRUE(read("query: {http: {endpoint: nowhere}}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("has no port"));
  ASSERT_TRUE(read("query: {http: {tls: {cert_file: x}}}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("both cert_file and key_file"));
  ASSERT_TRUE(read("limits: {max_in_flight: 1MiB}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("could never be admitted"));
}

TEST(Config, ContradictionsOfTheControlPlaneAreNamed) {
  const auto check = [](const std::string& yaml) {
    Config config;
    EXPECT_TRUE(read(yaml, config).ok()) << read(yaml, config).to_string();
    return check_config(config).to_string();
  };
  EXPECT_EQ(check("control: {node_id: 2, initial_cluster: '1=a:4330,2=b:4330,3=c:4330/witness', engine: rocksdb}"),
            "OK");
  EXPECT_THAT(check("control: {initial_cluster: '1=a:4330,2=b:4330'}"), HasSubstr("--node-id"));
  EXPECT_THAT(check("control: {node_id: 1, initial_cluster: '1=a'}"), HasSubstr("\"1=a\" has no port"));
  EXPECT_THAT(check("control: {node_id: 1, initial_cluster: '1=a:1', join: ['b:1']}"),
              HasSubstr("founds a group or joins"));
  EXPECT_THAT(check("control: {node_id: 1, initial_cluster: '1=a:1,2=b:1,3=c:1/witness', consensus: zab}"),
              HasSubstr("a witness stores no history"));
  EXPECT_THAT(check("control: {role: king}"), HasSubstr("none of voter, witness, learner"));
  EXPECT_THAT(check("control: {consensus: gossip}"),
              HasSubstr("clew.yaml:1: control.consensus 'gossip' is none of raft, multipaxos, zab"));
  EXPECT_THAT(check("control: {heartbeat: 1s}"), HasSubstr("control.election_timeout must be at least twice"));
  EXPECT_THAT(check("control: {peer: {endpoint: ''}}"), HasSubstr("control.peer.endpoint is empty"));
  EXPECT_THAT(check("control: {peer: {tls: {cert_file: a, key_file: b}}}"), HasSubstr("client_ca_file"));
  const std::string pbft =
      "control: {consensus: pbft, node_id: 1, initial_cluster: '1=a:1,2=b:1,3=c:1,4=d:1', "
      "signing: {key_file: k, members_dir: m}, ";
  EXPECT_THAT(check(pbft + "peer: {endpoint: ':4330'}}"), HasSubstr("control.peer.tls is not set"));
  EXPECT_THAT(check(pbft + "peer: {endpoint: '0.0.0.0:4330'}}"), HasSubstr("control.peer.tls is not set"));
  EXPECT_EQ(check(pbft + "peer: {endpoint: '127.0.0.1:4330'}}"), "OK");
  EXPECT_EQ(check(pbft + "peer: {endpoint: ':4330', tls: {cert_file: c, key_file: k, client_ca_file: a}}}"), "OK");
  EXPECT_THAT(check("auth: {bearer_tokens: [{token: t, tenant: shop}]}"), HasSubstr("one without a tenant"));
  EXPECT_EQ(check("auth: {bearer_tokens: [{token: t, tenant: shop}, {token: u}]}"), "OK");
  Config config;
  EXPECT_THAT(read("control: {engine: lmdb}", config).to_string(), HasSubstr("none of memory, rocksdb"));
  EXPECT_THAT(read("control: {leases: yes}", config).to_string(), HasSubstr("neither true nor false"));
}

TEST(Config, WhatIsBoundedBesideOpenTracesFitsIntoTheMemoryLimitByDefault) {
  const Config config = default_config();
  EXPECT_LE(cluster::open_rows_limit_bytes(config.node.memory_limit_bytes) + config.servers.max_in_flight_bytes +
                config.servers.otlp_grpc.memory_quota_bytes + config.node.block_cache_bytes,
            config.node.memory_limit_bytes);
}

TEST(Config, MessagesThatGrpcMightNeverHoldWholeAreRefused) {
  Config config;
  ASSERT_TRUE(read("receivers: {otlp: {protocols: {grpc: {memory_quota: 64MiB}}}}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("memory_quota is below max_recv_msg_size"));
}

TEST(Config, MemoryThatCouldNeverAdmitTheLargestRequestIsRefused) {
  Config config;
  ASSERT_TRUE(read("limits: {memory: 100MiB}", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("could never be admitted; raise limits.memory"));
  ASSERT_TRUE(read("limits: {memory: 1GiB}\nshards: 16", config).ok());
  EXPECT_THAT(check_config(config).to_string(), HasSubstr("over 16 shards"));
  ASSERT_TRUE(read("limits: {memory: 100MiB}\nshards: 1\nreceivers: {otlp: {protocols: {http: "
                   "{max_request_body_size: 16MiB}, grpc: {max_recv_msg_size: 16MiB}}}}",
                   config)
                  .ok());
  EXPECT_TRUE(check_config(config).ok()) << check_config(config).to_string();
}

TEST(Config, AContradictionCarriesTheLineOfWhatTheFileSets) {
  const auto complaint = [](std::string_view yaml) {
    Config config = default_config();
    const Status status = read(yaml, config);
    EXPECT_TRUE(status.ok()) << status.to_string();
    return std::string(check_config(config).message());
  };
  EXPECT_THAT(complaint("log:\n  level: loud\n"), HasSubstr("clew.yaml:2: log.level 'loud' is none of"));
  EXPECT_THAT(complaint("traces:\n\n  quiet_period: 10h\n"),
              HasSubstr("clew.yaml:3: traces.trace_timeout is below traces.quiet_period"))
      << "the file sets the other one";
  EXPECT_THAT(complaint("query:\n  tempo:\n    tls:\n      key_file: x\n"), HasSubstr("query.tempo.tls wants both"));
  EXPECT_THAT(complaint("etcd:\n  tls:\n    key_file: x\n"), HasSubstr("etcd.tls wants both"));
  EXPECT_THAT(complaint("query:\n  http:\n    endpoint: \"here:x\"\n"),
              HasSubstr("clew.yaml:3: query.http.endpoint: 'x' is not a port"));
  Config config = default_config();
  config.log_level = "loud";
  EXPECT_TRUE(check_config(config).message().starts_with("log.level 'loud'")) << "no file, no line";
}

TEST(Config, FilesOfTlsAreOpenedAndTheirFaultsSaid) {
  api::test::CertificateFiles files;
  const std::string cert = files.write("cert.pem", files.server.certificate);
  const std::string key = files.write("key.pem", files.server.key);
  const auto complaint = [](const std::string& cert_file, const std::string& key_file, const std::string& client_ca) {
    Config config = default_config();
    const Status status = read("query:\n  http:\n    tls: {cert_file: \"" + cert_file + "\", key_file: \"" + key_file +
                                   "\", client_ca_file: \"" + client_ca + "\"}\n",
                               config);
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(check_config(config).ok());
    return std::string(check_files(config).message());
  };
  EXPECT_EQ(complaint(cert, key, ""), "");
  EXPECT_THAT(complaint("/nowhere/cert.pem", key, ""),
              HasSubstr("clew.yaml:3: query.http.tls: read the TLS certificate (cert_file) /nowhere/cert.pem"));
  EXPECT_THAT(complaint(cert, files.write("other.pem", files.client.key), ""), HasSubstr("does not belong to"));
  EXPECT_THAT(complaint(cert, key, files.write("empty.pem", "")), HasSubstr("client CA (client_ca_file)"));
}

TEST(Config, TheReferenceNamesEverySetting) {
  const std::string table = config_reference();
  EXPECT_THAT(table, HasSubstr("`traces.quiet_period` | `5s`"));
  EXPECT_THAT(table, HasSubstr("`receivers.otlp.protocols.http.endpoint` | `\"127.0.0.1:4318\"`"));
}

TEST(Config, WhatCannotBeReadSaysWhy) {
  const std::string directory = ::testing::TempDir();
  EXPECT_NE(load_config(directory).status().message().find("it is a directory"), std::string::npos);
  const auto absent = load_config(directory + "/clew-no-such-file.yaml");
  ASSERT_FALSE(absent.ok());
  EXPECT_NE(absent.error().message.find("No such file"), std::string::npos) << absent.error().message;
}

TEST(Config, printedForATenant_nothingOfOthers) {
  Config config = default_config();
  config.servers.otlp_http.auth.bearer_tokens = {{"a", "acme"}, {"b", "bingo"}, {"c", ""}};
  const std::string shown = print_config_for("acme", config);
  EXPECT_NE(shown.find("{token: \"***\", tenant: \"acme\"}"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("bingo"), std::string::npos);
  EXPECT_EQ(shown.find("tenant: \"\""), std::string::npos);
  EXPECT_NE(print_config(config).find("bingo"), std::string::npos);
}

}  // namespace
}  // namespace clew::app
