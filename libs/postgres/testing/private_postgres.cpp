#include "private_postgres.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <pqxx/pqxx>
#include <stdexcept>

namespace pepeunit::postgres {
namespace {

constexpr char kBin[] = "/usr/lib/postgresql/15/bin/";

std::string Shell(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::array<char, 4096> buffer;
  std::size_t got = 0;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) output.append(buffer.data(), got);
  if (::pclose(pipe) != 0) throw std::runtime_error(command + " failed: " + output);
  return output;
}

}  // namespace

PrivatePostgres::PrivatePostgres() {
  if (!std::filesystem::exists(std::string(kBin) + "initdb")) {
    throw std::runtime_error("PostgreSQL 15 is not installed: apt-get install postgresql-15");
  }
  std::string pattern = "/tmp/pepeunit-pg-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  if (::getuid() == 0) Shell("chown postgres:postgres " + folder_);
  Run("initdb", "-D " + folder_ + "/data -U postgres -A trust --no-sync --locale=C.UTF-8 -E UTF8");
  Start();
}

PrivatePostgres::~PrivatePostgres() {
  try {
    Run("pg_ctl", "-D " + folder_ + "/data -m immediate stop");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string PrivatePostgres::Run(const std::string& program, const std::string& arguments) const {
  const std::string command = std::string(kBin) + program + ' ' + arguments;
  // The folder of the caller may be closed to the user postgres.
  if (::getuid() != 0) return Shell("cd / && " + command);
  return Shell("cd / && setpriv --reuid=postgres --regid=postgres --init-groups " + command);
}

void PrivatePostgres::Start() {
  Run("pg_ctl", "-D " + folder_ + "/data -w -t 60 -l " + folder_ + "/log -o \"-c listen_addresses='' -k " + folder_ +
                    " -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=16MB\" start "
                    ">/dev/null");
}

void PrivatePostgres::Kill() { Run("pg_ctl", "-D " + folder_ + "/data -m immediate stop"); }

std::string PrivatePostgres::dsn() const { return "host=" + folder_ + " user=postgres dbname=postgres"; }

std::string PrivatePostgres::NewSchema() {
  const std::string name = "test_" + std::to_string(++schemas_);
  pqxx::connection connection(dsn());
  pqxx::work tx(connection);
  tx.exec("CREATE SCHEMA " + name);
  tx.commit();
  return name;
}

}  // namespace pepeunit::postgres
