#pragma once

#include <optional>
#include <string>

#include "sync_job.h"

namespace pepeunit::repo_sync {

// The worker process (`pepeunit-repo-sync --worker`): a job as JSON on standard input; on standard output lines of
// JSON, how far it is and at the end the result. Code that reads what strangers wrote runs here, with bounds on memory
// and files and without the service's secrets. Returns the exit code.
int RunWorker();

std::string WriteJob(const SyncJob& job);
std::optional<SyncJob> ReadJob(const std::string& text);
std::string WriteResult(const SyncResult& result);
std::optional<SyncResult> ReadResult(const std::string& text);
std::string WriteProgress(const Progress& progress);
// nullopt for a line that is none.
std::optional<Progress> ReadProgress(const std::string& text);

}  // namespace pepeunit::repo_sync
