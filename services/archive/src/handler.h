#pragma once

#include "device_updates.h"
#include "pepeunit/archive/v1/archive.grpc.pb.h"
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
        c, q, [this](const rpc::Context& call, const v1::DownloadUnitArchiveRequest& request, const Write& write) {
          return archives_.Download(call, request.unit_id(), AsChunks(write));
        });
  }

 private:
  // Names the file and its type in the first chunk.
  template <typename Write>
  static UnitArchives::Send AsChunks(const Write& write) {
    return [&write, first = true](const std::string& filename, std::string_view data) mutable {
      common::v1::FileChunk chunk;
      if (std::exchange(first, false)) {
        chunk.set_content_type("application/zip");
        chunk.set_filename(filename);
      }
      chunk.set_data(data.data(), data.size());
      return write(chunk);
    };
  }

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
