#include "adapters.h"

#include <chrono>

#include "pepeunit/base/bytes.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/bus/v1/events.pb.h"
#include "pepeunit/values/values.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr std::chrono::seconds kTimeout{5};
constexpr std::chrono::seconds kFirmwareTimeout{20};  // a version is read whole the first time

const rpc::Caller& Self() {
  static const rpc::Caller self = rpc::Caller::Service();
  return self;
}

std::shared_ptr<Profile> ToProfile(const graph::v1::UnitProfile& from, const Uuid& unit, const std::string& key) {
  auto profile = std::make_shared<Profile>();
  profile->unit = unit;
  profile->version = from.version();
  profile->token_generation = from.token_generation();
  profile->keys = envelope::Keys::Derive(AsBytes(key));
  profile->repo_unit_id = from.repo_unit_id();
  profile->target_commit = from.target_commit();
  profile->update_attempt = from.update_attempt();
  std::unordered_map<std::string, Output*> by_id;
  for (const auto& variable : from.variables()) {
    const auto id = Uuid::Parse(variable.id()).value_or(Uuid{});
    auto definition = values::ToDefinition(variable);
    if (variable.kind() == graph::v1::VARIABLE_KIND_INPUT) {
      profile->inputs.push_back({id, variable.name(), definition.default_value.value_or(nullptr)});
      continue;
    }
    Output& output = profile->outputs[variable.name()];
    output.id = id;
    output.definition = std::move(definition);
    by_id[variable.id()] = &output;  // references into an unordered_map stay good
  }
  for (const auto& link : from.links()) {
    const auto output = by_id.find(link.output_id());
    if (output == by_id.end()) continue;
    output->second->targets.push_back(
        {Uuid::Parse(link.link_id()).value_or(Uuid{}), Uuid::Parse(link.input().id()).value_or(Uuid{}),
         Uuid::Parse(link.input().unit_id()).value_or(Uuid{}), values::ToDefinition(link.input()), link.of_others()});
  }
  return profile;
}

Standing ToStanding(const log::v1::UnitSnapshot& snapshot) {
  return {snapshot.sequence(), snapshot.request_tag(), snapshot.report_stream_sequence()};
}

}  // namespace

RemoteSource::RemoteSource(const rpc::Channel& graph, const rpc::Channel& crypto, const rpc::Channel& log)
    : graph_(graph),
      crypto_(crypto),
      log_(log),
      graph_stub_(graph::v1::GraphInternalService::NewStub(graph.grpc())),
      crypto_stub_(crypto::v1::CryptoService::NewStub(crypto.grpc())),
      log_stub_(log::v1::ValueInternalService::NewStub(log.grpc())) {}

absl::StatusOr<TokenFacts> RemoteSource::OpenToken(const std::string& token) {
  crypto::v1::OpenUnitTokenRequest request;
  request.set_token(token);
  PEPEUNIT_ASSIGN_OR_RETURN(
      const auto answer, rpc::Call<crypto::v1::OpenUnitTokenResponse>(crypto_, Self(), kTimeout, [&](auto* c, auto* r) {
        return crypto_stub_->OpenUnitToken(c, request, r);
      }));
  const auto unit = Uuid::Parse(answer.unit_id());
  if (!unit) return Internal("crypto opened a token without a unit");
  return TokenFacts{*unit, answer.generation()};
}

absl::StatusOr<Loaded> RemoteSource::Load(const Uuid& unit) {
  graph::v1::GetUnitProfileRequest ask;
  ask.set_unit_id(unit.ToString());
  PEPEUNIT_ASSIGN_OR_RETURN(const auto profile,
                            rpc::Call<graph::v1::UnitProfile>(graph_, Self(), kTimeout, [&](auto* c, auto* r) {
                              return graph_stub_->GetUnitProfile(c, ask, r);
                            }));
  crypto::v1::OpenRequest open;
  open.set_ciphertext(profile.sealed_sync_key());
  open.set_context("graph.unit.sync_key:" + unit.ToString());
  PEPEUNIT_ASSIGN_OR_RETURN(
      const auto key, rpc::Call<crypto::v1::OpenResponse>(
                          crypto_, Self(), kTimeout, [&](auto* c, auto* r) { return crypto_stub_->Open(c, open, r); }));
  PEPEUNIT_ASSIGN_OR_RETURN(const auto snapshot, Snapshot(unit));
  Loaded loaded;
  loaded.profile = ToProfile(profile, unit, key.plaintext());
  loaded.standing = ToStanding(snapshot);
  for (const auto& input : snapshot.inputs()) {
    if (const auto id = Uuid::FromBytes(input.input_id()))
      loaded.inputs.push_back({*id, {values::ToJson(input.value()), input.stream_sequence()}});
  }
  return loaded;
}

absl::StatusOr<Standing> RemoteSource::LoadStanding(const Uuid& unit) {
  PEPEUNIT_ASSIGN_OR_RETURN(const auto snapshot, Snapshot(unit));
  return ToStanding(snapshot);
}

absl::StatusOr<log::v1::UnitSnapshot> RemoteSource::Snapshot(const Uuid& unit) {
  log::v1::GetUnitSnapshotRequest request;
  request.set_unit_id(unit.ToString());
  return rpc::Call<log::v1::UnitSnapshot>(log_, Self(), kTimeout,
                                          [&](auto* c, auto* r) { return log_stub_->GetUnitSnapshot(c, request, r); });
}

RemoteFirmware::RemoteFirmware(const rpc::Channel& archive)
    : archive_(archive), stub_(archive::v1::ArchiveInternalService::NewStub(archive.grpc())) {}

absl::StatusOr<archive::v1::UpdateManifest> RemoteFirmware::Manifest(const Profile& profile, const std::string& have,
                                                                     int from, int limit) {
  archive::v1::GetUpdateManifestRequest request;
  request.set_unit_id(profile.unit.ToString());
  request.set_repo_unit_id(profile.repo_unit_id);
  request.set_commit(profile.target_commit);
  request.set_have(have);
  request.set_from(from);
  request.set_limit(limit);
  return rpc::Call<archive::v1::UpdateManifest>(
      archive_, Self(), kFirmwareTimeout, [&](auto* c, auto* r) { return stub_->GetUpdateManifest(c, request, r); });
}

absl::StatusOr<archive::v1::ReadUpdateFileResponse> RemoteFirmware::Read(const Profile& profile,
                                                                         const std::string& path, std::int64_t offset,
                                                                         std::int64_t length) {
  archive::v1::ReadUpdateFileRequest request;
  request.set_unit_id(profile.unit.ToString());
  request.set_repo_unit_id(profile.repo_unit_id);
  request.set_commit(profile.target_commit);
  request.set_path(path);
  request.set_offset(offset);
  request.set_length(length);
  return rpc::Call<archive::v1::ReadUpdateFileResponse>(
      archive_, Self(), kFirmwareTimeout, [&](auto* c, auto* r) { return stub_->ReadUpdateFile(c, request, r); });
}

void BusSink::Tell(const Uuid& unit, std::string payload, const std::string& traceparent,
                   std::function<void(bus::PublishResult)> done) {
  bus_.Publish("events.ingest.unit." + unit.ToString(), payload,
               {.expected_last_subject_sequence = {}, .message_id = "", .traceparent = traceparent, .promptly = false},
               std::move(done));
}

void BusSink::Publish(const Uuid& unit, std::string payload, std::uint64_t expected,
                      std::function<void(bus::PublishResult)> done) {
  bus_.Publish(bus::ReportSubject(PartitionOf(unit, partitions_), unit.ToString()), payload,
               {.expected_last_subject_sequence = expected, .message_id = "", .traceparent = "", .promptly = true},
               std::move(done));
}

void BusSink::TellInput(const bus::v1::InputChanged& changed) {
  const auto unit = Uuid::FromBytes(changed.unit_id());
  if (unit) (void)bus_.PublishCore("inputs." + unit->ToString(), changed.SerializeAsString(), true);
}

CacheEvents::CacheEvents(bus::Bus& bus, Edge& edge) {
  bus.OnGap([&edge] { edge.DropAll(); });
  const auto changed = [&edge](const bus::Message& message) {
    bus::v1::Event event;
    if (!event.ParseFromString(message.payload)) return edge.DropAll();
    if (const auto unit = Uuid::Parse(event.unit_changed().unit_id())) edge.UnitChanged(*unit);
  };
  units_ = bus.Subscribe("events.graph.unit.>", changed);
  // The same of what takes a right away, before whoever did that is answered.
  voided_ = bus.Subscribe("voided.unit.>", changed);
  inputs_ = bus.Subscribe("inputs.>", [&edge](const bus::Message& message) {
    bus::v1::InputChanged now;
    if (!now.ParseFromString(message.payload)) return edge.DropAll();
    const auto unit = Uuid::FromBytes(now.unit_id()), input = Uuid::FromBytes(now.input_id());
    if (unit && input) edge.InputChanged(*unit, *input, {values::ToJson(now.value()), now.stream_sequence()});
  });
}

}  // namespace pepeunit::unit_ingest
