#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "command.h"

// Keys and signatures made by ssh-keygen itself, in a folder of its own.
namespace pepeunit::ssh {

class Keygen {
 public:
  Keygen() {
    char name[] = "/tmp/pepeunit-ssh-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~Keygen() { std::filesystem::remove_all(folder_); }
  Keygen(const Keygen&) = delete;
  Keygen& operator=(const Keygen&) = delete;

  // Whether there is one to test with; says so when there is none.
  static bool Present() { return std::system("command -v ssh-keygen >/dev/null") == 0; }

  std::string path(const std::string& name) const { return folder_ + '/' + name; }
  // The line of the public key. `kind` as options: `-t rsa -b 2048`.
  std::string Make(const std::string& name, const std::string& kind) const {
    Output("ssh-keygen -q -N '' -C 'key of ada' " + kind + " -f " + path(name));
    return Read(name + ".pub");
  }
  std::string Sign(const std::string& key, const std::string& message, const std::string& more = "-n git") const {
    Write("message", message);
    Output("rm -f " + path("message.sig") + "; ssh-keygen -q -Y sign " + more + " -f " + path(key) + ' ' +
           path("message") + " 2>/dev/null");
    return Read("message.sig", false);
  }
  // ssh-keygen's own verdict.
  bool Verifies(const std::string& public_key, const std::string& signature, const std::string& message) const {
    Write("allowed", "ada " + public_key + '\n');
    Write("signature", signature);
    Write("message", message);
    return Output("ssh-keygen -q -Y verify -n git -I ada -f " + path("allowed") + " -s " + path("signature") + " <" +
                  path("message") + " >/dev/null 2>&1 && echo yes || echo no") == "yes";
  }
  std::string Read(const std::string& name, bool line = true) const {
    std::ifstream file(path(name));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    while (line && text.ends_with('\n')) text.pop_back();
    return text;
  }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

 private:
  std::string folder_;
};

}  // namespace pepeunit::ssh

#define PEPEUNIT_NEEDS_KEYGEN()                                                       \
  if (!pepeunit::ssh::Keygen::Present()) {                                            \
    WARN("skipped: there is no ssh-keygen (package openssh-client) to compare with"); \
    return;                                                                           \
  }
