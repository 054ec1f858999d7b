#pragma once

#include <functional>

#include "guarded_stream.h"
#include "sync_job.h"

namespace pepeunit::repo_sync {

// Brings `job.folder/job.name` to the state of the remote: all branches and tags, and HEAD on the remote's own default
// branch. It works in `job.folder/.tmp-<name>-<random>` and puts that in the copy's place in one step, so a reader sees
// the old state or the new one, and a failure leaves the old one. When the remote lists the refs that the copy has,
// that is all that is asked of it. Blocks, and tells about twice a second how far it is; runs in a worker process only.
SyncResult Fetch(const SyncJob& job, ConnectionGuard* guard, const std::function<void(const Progress&)>& tell);

}  // namespace pepeunit::repo_sync
