// For tests of the etcd API: gRPC C++ clients of all its services, calls by name with messages as text, and answers as
// text in which what two clusters cannot share (their ids, terms, hashes, sizes) is left out.
#pragma once

#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etcd/api/etcdserverpb/rpc_service.grpc.pb.h"
#include "grpc/health/v1/health_service.grpc.pb.h"

namespace clew::api::etcd::test {

namespace pb = etcdserverpb;

template <typename T>
T parse(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// One line. Headers keep their revision only.
inline std::string show(const google::protobuf::Message& message) {
  const std::unique_ptr<google::protobuf::Message> copy(message.New());
  copy->CopyFrom(message);
  const std::function<void(google::protobuf::Message&)> strip = [&](google::protobuf::Message& part) {
    if (auto* header = dynamic_cast<pb::ResponseHeader*>(&part)) {
      header->clear_cluster_id();
      header->clear_member_id();
      header->clear_raft_term();
    }
    const auto* reflection = part.GetReflection();
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    reflection->ListFields(part, &fields);
    for (const auto* field : fields) {
      if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated()) {
        strip(*reflection->MutableMessage(&part, field));
      } else {
        for (int i = 0; i < reflection->FieldSize(part, field); ++i)
          strip(*reflection->MutableRepeatedMessage(&part, field, i));
      }
    }
  };
  strip(*copy);
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(*copy, &text);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}
inline std::string show(const grpc::Status& status) {
  return "error " + std::to_string(status.error_code()) + ": " + status.error_message();
}

class Client {
 public:
  explicit Client(const std::string& address,
                  const std::shared_ptr<grpc::ChannelCredentials>& credentials = grpc::InsecureChannelCredentials()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    channel = grpc::CreateCustomChannel(address, credentials, arguments);
    kv = pb::KV::NewStub(channel);
    watch = pb::Watch::NewStub(channel);
    lease = pb::Lease::NewStub(channel);
    cluster = pb::Cluster::NewStub(channel);
    maintenance = pb::Maintenance::NewStub(channel);
    auth = pb::Auth::NewStub(channel);
    health = grpc::health::v1::Health::NewStub(channel);

    add("Range", *kv, &pb::KV::Stub::Range);
    add("Put", *kv, &pb::KV::Stub::Put);
    add("DeleteRange", *kv, &pb::KV::Stub::DeleteRange);
    add("Txn", *kv, &pb::KV::Stub::Txn);
    add("Compact", *kv, &pb::KV::Stub::Compact);
    add("LeaseGrant", *lease, &pb::Lease::Stub::LeaseGrant);
    add("LeaseRevoke", *lease, &pb::Lease::Stub::LeaseRevoke);
    add("LeaseTimeToLive", *lease, &pb::Lease::Stub::LeaseTimeToLive);
    add("LeaseLeases", *lease, &pb::Lease::Stub::LeaseLeases);
    add("MemberAdd", *cluster, &pb::Cluster::Stub::MemberAdd);
    add("MemberRemove", *cluster, &pb::Cluster::Stub::MemberRemove);
    add("MemberUpdate", *cluster, &pb::Cluster::Stub::MemberUpdate);
    add("MemberList", *cluster, &pb::Cluster::Stub::MemberList);
    add("MemberPromote", *cluster, &pb::Cluster::Stub::MemberPromote);
    add("Alarm", *maintenance, &pb::Maintenance::Stub::Alarm);
    add("Status", *maintenance, &pb::Maintenance::Stub::Status);
    add("Defragment", *maintenance, &pb::Maintenance::Stub::Defragment);
    add("Hash", *maintenance, &pb::Maintenance::Stub::Hash);
    add("HashKV", *maintenance, &pb::Maintenance::Stub::HashKV);
    add("MoveLeader", *maintenance, &pb::Maintenance::Stub::MoveLeader);
    add("Authenticate", *auth, &pb::Auth::Stub::Authenticate);
    add("AuthEnable", *auth, &pb::Auth::Stub::AuthEnable);
    add("AuthDisable", *auth, &pb::Auth::Stub::AuthDisable);
    add("AuthStatus", *auth, &pb::Auth::Stub::AuthStatus);
    add("UserAdd", *auth, &pb::Auth::Stub::UserAdd);
    add("UserGet", *auth, &pb::Auth::Stub::UserGet);
    add("UserList", *auth, &pb::Auth::Stub::UserList);
    add("UserDelete", *auth, &pb::Auth::Stub::UserDelete);
    add("RoleGet", *auth, &pb::Auth::Stub::RoleGet);
    add("RoleList", *auth, &pb::Auth::Stub::RoleList);
    add("RoleDelete", *auth, &pb::Auth::Stub::RoleDelete);
  }

  using Metadata = std::vector<std::pair<std::string, std::string>>;
  // "Put", "key: 'a' value: '1'" → the answer or the error, as text.
  std::string call(const std::string& method, const std::string& request, const Metadata& metadata = {}) {
    const auto found = methods_.find(method);
    if (found == methods_.end()) return "no such method: " + method;
    return found->second(request, metadata);
  }
  std::map<std::string, std::string> trailers;  // of the last call

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<pb::KV::Stub> kv;
  std::unique_ptr<pb::Watch::Stub> watch;
  std::unique_ptr<pb::Lease::Stub> lease;
  std::unique_ptr<pb::Cluster::Stub> cluster;
  std::unique_ptr<pb::Maintenance::Stub> maintenance;
  std::unique_ptr<pb::Auth::Stub> auth;
  std::unique_ptr<grpc::health::v1::Health::Stub> health;

 private:
  template <typename Stub, typename Request, typename Response>
  void add(const std::string& name, Stub& stub,
           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
    methods_[name] = [this, &stub, method](const std::string& text, const Metadata& metadata) {
      grpc::ClientContext context;
      for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      Response response;
      const grpc::Status status = (stub.*method)(&context, parse<Request>(text), &response);
      trailers.clear();
      for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
        trailers[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
      }
      return status.ok() ? show(response) : show(status);
    };
  }
  std::map<std::string, std::function<std::string(const std::string&, const Metadata&)>> methods_;
};

// A watch stream whose answers are read one at a time.
class Watching {
 public:
  explicit Watching(Client& client, const Client::Metadata& metadata = {}) {
    for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = client.watch->Watch(&context_);
  }
  ~Watching() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }
  bool send(const std::string& request) { return stream_->Write(parse<pb::WatchRequest>(request)); }
  pb::WatchResponse next() {
    pb::WatchResponse response;
    ended_ = !stream_->Read(&response);
    return response;
  }
  bool ended() const { return ended_; }
  void done() { stream_->WritesDone(); }
  grpc::Status finish() {
    pb::WatchResponse response;
    while (stream_->Read(&response)) {
    }
    finished_ = true;
    return stream_->Finish();
  }
  // The next `count` events, over however many responses they come.
  std::vector<std::string> events(size_t count) {
    std::vector<std::string> all;
    while (all.size() < count && !ended_) {
      const pb::WatchResponse response = next();
      for (const auto& event : response.events()) all.push_back(show(event));
    }
    return all;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream_;
  bool ended_ = false, finished_ = false;
};

}  // namespace clew::api::etcd::test
