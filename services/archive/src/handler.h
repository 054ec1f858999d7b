#pragma once

#include "archive_messages.h"
#include "device_updates.h"
#include "pepeunit/archive/v1/archive.grpc.pb.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/rpc/server.h"
#include "unit_archives.h"

namespace pepeunit::archive {

// The gRPC face: forwards and decides nothing.
class Handler final : public v1::ArchiveService::CallbackService {
 public:
  // Both outlive it.
  Handler(rpc::Calls& calls, UnitArchives& archives) : calls_(calls), archives_(archives) {}

  grpc::ServerWriteReactor<common::v1::FileChunk>* DownloadUnitArchive(
      grpc::CallbackServerContext* c, const v1::DownloadUnitArchiveRequest* q) override {
    using Write = std::function<bool(const common::v1::FileChunk&)>;
    return calls_.ServerStream<v1::DownloadUnitArchiveRequest, common::v1::FileChunk>(
        c, q,
        [this](const rpc::Context& call, const v1::DownloadUnitArchiveRequest& request,
               const Write& write) -> absl::Status {
          PEPEUNIT_ASSIGN_OR_RETURN(const ArchiveWanted wanted, ReadWanted(request));
          return archives_.Download(call, wanted, AsChunks(write));
        });
  }
  grpc::ServerUnaryReactor* ListUnitArchiveFiles(grpc::CallbackServerContext* c,
                                                 const v1::ListUnitArchiveFilesRequest* q,
                                                 v1::ListUnitArchiveFilesResponse* r) override {
    return calls_.Unary(c, q, r,
                        [this](const rpc::Context& call, const v1::ListUnitArchiveFilesRequest& request,
                               v1::ListUnitArchiveFilesResponse& response) -> absl::Status {
                          PEPEUNIT_ASSIGN_OR_RETURN(const auto listing, archives_.List(call, request.unit_id()));
                          response = ToMessage(listing);
                          return absl::OkStatus();
                        });
  }

 private:
  rpc::Calls& calls_;
  UnitArchives& archives_;
};

class InternalHandler final : public v1::ArchiveInternalService::CallbackService {
 public:
  // Both outlive it.
  InternalHandler(rpc::Calls& calls, DeviceUpdates& updates) : calls_(calls), updates_(updates) {}

  grpc::ServerUnaryReactor* GetUpdateManifest(grpc::CallbackServerContext* c, const v1::GetUpdateManifestRequest* q,
                                              v1::UpdateManifest* r) override {
    return calls_.Unary(c, q, r, [this](const rpc::Context& call, const auto& request, auto& response) {
      return updates_.Manifest(call, request, response);
    });
  }
  grpc::ServerUnaryReactor* ReadUpdateFile(grpc::CallbackServerContext* c, const v1::ReadUpdateFileRequest* q,
                                           v1::ReadUpdateFileResponse* r) override {
    return calls_.Unary(c, q, r, [this](const rpc::Context& call, const auto& request, auto& response) {
      return updates_.ReadFile(call, request, response);
    });
  }

 private:
  rpc::Calls& calls_;
  DeviceUpdates& updates_;
};

}  // namespace pepeunit::archive
