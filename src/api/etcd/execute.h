// execute(): the way of nearly every unary method from a request value to the bytes of its answer. On the call's loop;
// the service answers on its own, and the answer is encoded on the call's again.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "api/etcd/context.h"
#include "api/rpc/call.h"
#include "control/service.h"

namespace clew::api::etcd {

// `answered(call, value)` runs on the call's loop; a failure finishes the call in etcd's words. `as_error` may have
// better ones than as_etcd().
template <typename T, typename Answered>
control::Done<T> then(const std::shared_ptr<rpc::Call>& call, Answered answered,
                      Error (*as_error)(const control::CallError&) = as_etcd) {
  return [call, answered = std::move(answered), as_error](std::variant<T, control::CallError> result) mutable {
    call->run([answered = std::move(answered), as_error, result = std::move(result)](rpc::Call& open) mutable {
      if (const auto* error = std::get_if<control::CallError>(&result)) return open.finish(as_error(*error));
      answered(open, std::get<T>(std::move(result)));
    });
  };
}

inline void answer_with(rpc::Call& call, std::string message) {
  call.send(std::move(message));
  call.finish({});
}

// Answers `call` with what `encode(header, response)` makes of a reply of kind T to `request` in the users' space.
template <typename T, typename Encode>
void execute(Context& context, const std::shared_ptr<rpc::Call>& call, kv::Request&& request,
             const control::CallOptions& options, Encode encode) {
  const bool reads = kv::read_only(request);
  context.service().execute(
      kv::Space::kUser, std::move(request), options,
      then<control::CallReply>(call, [&context, encode, reads](rpc::Call& open, control::CallReply reply) {
        const T* response = std::get_if<T>(&reply.response);
        if (response == nullptr) return open.finish(Error{Code::kInternal, "an answer of another kind than asked for"});
        // Answers are as large as their clients' ranges, and wait here for clients to read them. What was done is told.
        if (reads && open.overloaded()) return open.finish(errors::too_many_requests());
        if (wants_session_token(open.head())) {
          open.add_trailer(std::string(kSessionTokenKey), std::to_string(reply.position));
        }
        answer_with(open, encode(context.header(response->revision, reply.epoch), *response));
      }));
}
template <typename T, typename Encode>
void execute(Context& context, const std::shared_ptr<rpc::Call>& call, kv::Request&& request, bool serializable,
             Encode encode) {
  const auto options = context.call_options(call->head(), serializable);
  if (!options.ok()) return call->finish(options.status());
  execute<T>(context, call, std::move(request), *options, encode);
}

}  // namespace clew::api::etcd
