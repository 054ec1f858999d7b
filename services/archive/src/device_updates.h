#pragma once

#include "pepeunit/archive/v1/archive.pb.h"
#include "releases.h"

namespace pepeunit::archive {

// What a device needs to come to another version by itself (U10, U13). For other services only. Thread-safe.
class DeviceUpdates {
 public:
  // `releases` outlives it.
  explicit DeviceUpdates(Releases& releases) : releases_(releases) {}

  absl::Status Manifest(const rpc::Context& call, const v1::GetUpdateManifestRequest& request, v1::UpdateManifest& out);
  absl::Status ReadFile(const rpc::Context& call, const v1::ReadUpdateFileRequest& request,
                        v1::ReadUpdateFileResponse& out);

 private:
  Releases& releases_;
};

}  // namespace pepeunit::archive
