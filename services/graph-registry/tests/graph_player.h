#pragma once

#include <array>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "callers.h"
#include "graph_model.h"
#include "world.h"

// Plays random steps on the product and on the model, and compares them after each.
namespace pepeunit::graph_registry {

// One step: which operation, and numbers that choose what with. What they mean depends on what is there, so any part of
// a sequence is a sequence.
struct Step {
  unsigned operation = 0;
  std::array<unsigned, 8> choose{};
};

class Player {
 public:
  Player();

  // What is wrong after this step; nothing when all is as the model says.
  std::optional<std::string> Play(const Step& step);
  const std::string& told() const { return told_; }  // of the last step, for people
  int changes() const { return changes_; }

  static Step Random(std::mt19937& random);

 private:
  struct Who {
    rpc::Caller caller;
    model::Viewer viewer;
    bool lives = true;
    bool governs = true;  // while its user is an administrator
  };
  using Operation = model::StatusCode (Player::*)();
  static const std::vector<std::pair<const char*, Operation>>& Operations();

  // Each plays one operation, applies it to the model if it succeeded, and returns what the product said.
  model::StatusCode SignUp();
  model::StatusCode SignIn();
  model::StatusCode SignOut();
  model::StatusCode Block();
  model::StatusCode Unblock();
  model::StatusCode SetAdministrator();
  model::StatusCode DeleteUser();
  model::StatusCode DeleteSelf();
  model::StatusCode MakeToken();
  model::StatusCode DeleteToken();
  model::StatusCode MakeRepo();
  model::StatusCode ConfigureRepo();
  model::StatusCode SyncRepo();
  model::StatusCode DeleteRepo();
  model::StatusCode MakeUnit();
  model::StatusCode UpdateUnit();
  model::StatusCode MoveUnit();
  model::StatusCode ResetEnv();
  model::StatusCode Push();
  model::StatusCode DeleteUnit();
  model::StatusCode SetLevel();
  model::StatusCode PutGrant();
  model::StatusCode DeleteGrant();
  model::StatusCode Draw();
  model::StatusCode DeleteLink();
  model::StatusCode UpdateVariable();
  model::StatusCode SetValue();
  model::StatusCode Look();

  model::StatusCode BlockOrNot(bool block);
  // What is to become of the nodes: false for nothing, as a preview.
  bool NextRemoval(const std::string& user, bool* transfer, std::string* heir);
  void Removed(const std::string& user, bool transfer, const std::string& heir, bool preview,
               const graph::v1::UserDeletion& told);
  void Expect(model::StatusCode expected, const absl::Status& status);
  void Wrong(const std::string& what) { wrong_ += (wrong_.empty() ? "" : "\n  ") + what; }
  // A step's next number, below `most`.
  unsigned Next(unsigned most) { return step_.choose[chosen_++ % step_.choose.size()] % most; }
  std::string NextNode();
  std::string NextLogin();  // of a user who is there
  std::string NextOf(int type);
  // Whether the caller sent If-Match, and if so whether it still fits.
  bool NextIfMatch(const std::string& node);
  // False: the unit follows.
  bool NextPin(graph::v1::VersionChoice* pin, std::string* branch, std::string* commit);
  void AddCaller(const rpc::Caller& caller, int cap, bool admin);
  // The model's variables of a unit as they are now declared; says which names are new.
  void ReadVariables(const std::string& unit, const model::Version& version);
  void Moved(const std::string& unit, const std::string& commit, const std::string& branch, bool follow);

  void CompareNodes();
  void CompareAudit();
  void CompareProfiles(const std::set<std::string>& carried);
  void CompareLists();
  void CompareAuditOf(const std::string& node);

  World w_;
  Callers callers_{w_.people};
  model::Graph m_;
  std::vector<Who> who_;
  std::vector<std::string> gone_;  // nodes that were there
  struct Profile {
    std::string content;
    std::uint64_t version = 0;
  };
  std::map<std::string, Profile> profiles_;

  Step step_;
  unsigned chosen_ = 0;
  rpc::Caller caller_;
  model::Viewer viewer_;
  std::string wrong_, told_;
  std::size_t audited_ = 0;
  int users_ = 0, changes_ = 0;
};

}  // namespace pepeunit::graph_registry
