#pragma once

#include <string>

namespace pepeunit::postgres {

// A PostgreSQL cluster of its own for a test: made in a temporary folder, listening on a Unix socket in it only,
// without fsync, removed with the object. As root it runs as the user `postgres`, for PostgreSQL refuses root.
// Aborts the test with an exception when PostgreSQL is not installed.
class PrivatePostgres {
 public:
  PrivatePostgres();
  ~PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

  // libpq's connection string of the superuser.
  std::string dsn() const;
  // Makes a new, empty schema and returns its name.
  std::string NewSchema();
  // Ends the server at once, as a crash would, and starts it again.
  void Kill();
  void Start();

 private:
  std::string Run(const std::string& program, const std::string& arguments) const;

  std::string folder_;
  int schemas_ = 0;
};

}  // namespace pepeunit::postgres
