#pragma once

#include <chrono>
#include <memory>

#include "authenticator.h"
#include "backends.h"
#include "change_rate.h"
#include "pages.h"
#include "reply.h"
#include "router.h"

namespace pepeunit::gateway {

struct ApiOptions {
  std::chrono::milliseconds call_timeout{30'000};
  std::chrono::milliseconds file_timeout{300'000};
  std::chrono::milliseconds stream_timeout{7'200'000};   // of one stream of events; services end theirs before
  bool trusted_proxy = false;                            // X-Forwarded-For names the client
  double changes_per_second = 5, changes_burst = 1'000;  // of one user, or one address without registration
};

// The HTTP API: finds the operation, tells who calls, maps the request to a message, calls the service and maps the
// answer back. Handle is thread-safe and never waits. What it refers to must outlive the requests.
class Api {
 public:
  Api(ApiOptions options, Router router, Authenticator& authenticator, Backends& backends, Edge& edge);

  void Handle(std::shared_ptr<http::Exchange> exchange);

 private:
  void Route(std::shared_ptr<Reply> reply);
  void Operate(std::shared_ptr<Reply> reply, const Binding& binding, const Captures& captures);
  void Call(std::shared_ptr<Reply> reply, const Binding& binding, rpc::Caller caller,
            const google::protobuf::Message& request);
  void AnswerOptions(Reply& reply, const std::string& allow) const;
  static void Answer(Reply& reply, const Binding& binding, const google::protobuf::Message& message);

  const ApiOptions options_;
  const Router router_;
  const Pages pages_;
  ChangeRate change_rate_;
  Authenticator& authenticator_;
  Backends& backends_;
  Edge& edge_;
};

// The client's address: of the connection, or behind a trusted proxy the last entry of X-Forwarded-For, which that
// proxy wrote itself; earlier entries are the client's own claims.
std::string ClientAddress(const http::Exchange& request, bool trusted_proxy);

}  // namespace pepeunit::gateway
