#include "api.h"

#include <arpa/inet.h>

#include <utility>

#include "event_response.h"
#include "file_response.h"
#include "message_json.h"
#include "negotiation.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::gateway {
namespace {

constexpr char kEmpty[] = "google.protobuf.Empty";
constexpr char kJsonType[] = "application/json";
constexpr char kEventsType[] = "text/event-stream";

// Where a browser that comes back was, which it says by itself.
void SetLastEvent(std::string_view id, google::protobuf::Message* request) {
  const auto* field = request->GetDescriptor()->FindFieldByName("last_event_id");
  if (id.empty() || field == nullptr || field->type() != google::protobuf::FieldDescriptor::TYPE_STRING) return;
  request->GetReflection()->SetString(request, field, std::string(id));
}

absl::Status NoSuchPath() { return NotFound("path"); }

std::string JoinVerbs(const std::vector<std::string>& verbs) {
  std::string text;
  for (const std::string& verb : verbs) {
    text += (text.empty() ? "" : ", ") + verb;
    if (verb == "GET") text += ", HEAD";
  }
  return text + ", OPTIONS";
}

bool IsAddress(const std::string& text) {
  in6_addr storage;
  return ::inet_pton(AF_INET, text.c_str(), &storage) == 1 || ::inet_pton(AF_INET6, text.c_str(), &storage) == 1;
}

absl::Status WrongVerb(const std::string& allow) {
  return Error(absl::StatusCode::kUnimplemented, "", "This path knows " + allow + ".");
}

}  // namespace

std::string ClientAddress(const http::Exchange& request, bool trusted_proxy) {
  if (trusted_proxy) {
    std::string_view chain = request.LastHeader("X-Forwarded-For");
    chain = chain.substr(chain.rfind(',') + 1);
    while (!chain.empty() && chain.front() == ' ') chain.remove_prefix(1);
    while (!chain.empty() && chain.back() == ' ') chain.remove_suffix(1);
    std::string address(chain.substr(0, 64));
    if (IsAddress(address)) return address;
  }
  return std::string(request.remote_address());
}

Api::Api(ApiOptions options, Router router, Authenticator& authenticator, Backends& backends, Edge& edge)
    : options_(options),
      router_(std::move(router)),
      change_rate_(options.changes_per_second, options.changes_burst),
      authenticator_(authenticator),
      backends_(backends),
      edge_(edge) {}

void Api::Handle(std::shared_ptr<http::Exchange> exchange) {
  const TraceScope scope(exchange->trace());
  auto reply = std::make_shared<Reply>(edge_, std::move(exchange));
  if (reply->overloaded())
    return reply->Refuse(Unavailable("Too many requests are being answered; try again shortly."));
  Route(std::move(reply));
}

void Api::Route(std::shared_ptr<Reply> reply) {
  const http::Exchange& request = reply->request();
  const std::string_view verb = request.method(), path = request.path();
  if (pages_.Has(path)) {
    reply->set_route(std::string(path));
    if (verb == "GET" || verb == "HEAD") return reply->Send(pages_.Get(path, request.Header("If-None-Match")));
    const std::string allow = JoinVerbs({"GET"});
    if (verb == "OPTIONS") return AnswerOptions(*reply, allow);
    return reply->Refuse(WrongVerb(allow), 405,
                         {.status = 405, .content_type = "", .headers = {{"Allow", allow}}, .body = ""});
  }
  const Router::Match match = router_.Find(verb, path);
  if (match.allowed.empty()) return reply->Refuse(NoSuchPath());
  if (match.binding == nullptr) {
    const std::string allow = JoinVerbs(match.allowed);
    if (verb == "OPTIONS") return AnswerOptions(*reply, allow);
    return reply->Refuse(WrongVerb(allow), 405,
                         {.status = 405, .content_type = "", .headers = {{"Allow", allow}}, .body = ""});
  }
  reply->set_route(match.binding->path.text());
  Operate(std::move(reply), *match.binding, match.captures);
}

// Also the preflight of CORS (https://fetch.spec.whatwg.org/#http-cors-protocol); Reply adds the admitted origin.
void Api::AnswerOptions(Reply& reply, const std::string& allow) const {
  http::Response response;
  response.status = 204;
  response.headers = {{"Allow", allow}};
  if (edge_.origins.contains(std::string(reply.request().Header("Origin")))) {
    response.headers.emplace_back("Access-Control-Allow-Methods", allow);
    response.headers.emplace_back("Access-Control-Allow-Headers",
                                  "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                                  "If-Range, Last-Event-ID, Range, traceparent");
    response.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  reply.Send(std::move(response));
}

void Api::Operate(std::shared_ptr<Reply> reply, const Binding& binding, const Captures& captures) {
  const http::Exchange& request = reply->request();
  if (binding.prometheus) reply->SpeakPrometheus();
  const char* type = binding.events ? kEventsType : kJsonType;
  if (!binding.file && !Accepts(request.Header("Accept"), type)) {
    return reply->Refuse(Error(absl::StatusCode::kInvalidArgument, "", std::string("The answer is ") + type + '.'),
                         406);
  }
  const std::string_view content_type = request.Header("Content-Type");
  const bool readable = binding.prometheus ? IsForm(content_type) : IsJson(content_type);
  if (!request.body().empty() && !binding.body.empty() && !readable) {
    const std::string want = binding.prometheus ? "application/x-www-form-urlencoded" : kJsonType;
    return reply->Refuse(Error(absl::StatusCode::kInvalidArgument, "", "Send the body as " + want + '.'), 415);
  }
  auto if_match = IfMatchTag(request.Header("If-Match"));
  if (!if_match.ok()) return reply->Refuse(if_match.status());

  // Whoever sends one counts on it, so it is not passed over.
  if (!if_match->empty() && !binding.if_match && binding.verb != "GET")
    return reply->Refuse(InvalidField("If-Match", "is not honoured by this operation; leave it away"));
  auto key = IdempotencyKey(request.Header("Idempotency-Key"));
  if (!key.ok()) return reply->Refuse(key.status());
  // What a GET, PUT or DELETE does twice it does once.
  if (!key->empty() && !binding.idempotency_key && (binding.verb == "POST" || binding.verb == "PATCH"))
    return reply->Refuse(InvalidField("Idempotency-Key", "is not honoured by this operation; leave it away"));

  // Who calls is told before what is wrong with the request.
  const std::string_view authorization = request.Header("Authorization");
  auto proceed = [this, reply, &binding, captures, tag = *std::move(if_match),
                  key = *std::move(key)](absl::StatusOr<rpc::Caller> caller) {
    const http::Exchange& q = reply->request();
    const TraceScope scope(q.trace());
    if (!caller.ok()) return reply->Refuse(caller.status());
    caller->if_match = tag;
    caller->idempotency_key = key;
    caller->client_address = ClientAddress(q, options_.trusted_proxy);
    if (binding.verb != "GET" && !binding.prometheus) {
      if (const auto may = change_rate_.Take(*caller, MonotonicMs()); !may.ok()) return reply->Refuse(may);
    }
    const auto message = ReadRequest(binding, captures, q.query(), q.body());
    if (!message.ok()) return reply->Refuse(message.status());
    if (binding.file) SetRange(q, message->get());
    if (binding.file && !SetFormat(q, message->get()))
      return reply->Refuse(
          Error(absl::StatusCode::kInvalidArgument, "", "The answer is of another type; see `format`."), 406);
    if (binding.events) SetLastEvent(q.Header("Last-Event-ID"), message->get());
    Call(reply, binding, *std::move(caller), **message);
  };
  authenticator_.Authenticate(authorization, std::move(proceed));
}

void Api::Call(std::shared_ptr<Reply> reply, const Binding& binding, rpc::Caller caller,
               const google::protobuf::Message& request) {
  BackendCall call;
  call.method = binding.method;
  call.caller = std::move(caller);
  call.trace = reply->request().trace();
  call.timeout = binding.events ? options_.stream_timeout
                 : binding.file ? options_.file_timeout
                                : options_.call_timeout;
  call.endless = binding.events;
  if (binding.events) {
    if (!reply->BecomeStream()) return reply->Refuse(Unavailable("Too many streams are open; try again later.", 5'000));
    return SendEvents(backends_, call, request, std::move(reply));
  }
  if (binding.file) return SendFile(backends_, call, request, std::move(reply));
  backends_.Unary(call, request, [reply, &binding](absl::StatusOr<MessagePtr> answer) {
    const TraceScope scope(reply->request().trace());
    if (!answer.ok()) return reply->Refuse(answer.status());
    Answer(*reply, binding, **answer);
  });
}

void Api::Answer(Reply& reply, const Binding& binding, const google::protobuf::Message& message) {
  http::Response response;
  response.headers = {{"Cache-Control", "no-store"}};
  if (message.GetTypeName() == kEmpty) {
    response.status = 204;
    return reply.Send(std::move(response));
  }
  const std::string etag = StringField(message, "etag");
  if (!etag.empty()) response.headers.emplace_back("ETag", '"' + etag + '"');
  if (binding.verb == "GET" && !etag.empty() && NoneMatchNames(reply.request().Header("If-None-Match"), etag)) {
    response.status = 304;
    return reply.Send(std::move(response));
  }
  auto body = WriteResponse(message);
  if (!body.ok()) return reply.Refuse(body.status());
  if (binding.verb == "POST" && Creates(*binding.method)) {
    response.status = 201;
    response.headers.emplace_back("Location", std::string(reply.request().path()) + '/' + StringField(message, "id"));
  }
  response.content_type = kJsonType;
  response.body = *std::move(body);
  reply.Send(std::move(response));
}

}  // namespace pepeunit::gateway
