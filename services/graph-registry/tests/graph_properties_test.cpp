#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "graph_player.h"

// Random sequences of everything that people do with a graph, held against a model of its rules.
//
//   PEPEUNIT_PROPERTY_SECONDS  how long to play; 15 by default
//   PEPEUNIT_PROPERTY_SEED     one sequence to play again, of those that were printed
using namespace pepeunit;
using namespace pepeunit::graph_registry;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kSteps = 200;

std::vector<Step> Sequence(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Step> steps(kSteps);
  for (Step& step : steps) step = Player::Random(random);
  return steps;
}

// What is wrong after which step.
struct Failure {
  std::size_t step = 0;
  std::string what;
  std::vector<std::string> told;
};

std::optional<Failure> Play(const std::vector<Step>& steps, int* changes = nullptr) {
  Player player;
  Failure failure;
  for (const Step& step : steps) {
    const auto wrong = player.Play(step);
    failure.told.push_back(player.told());
    if (wrong) {
      failure.what = *wrong;
      return failure;
    }
    ++failure.step;
  }
  if (changes != nullptr) *changes += player.changes();
  return std::nullopt;
}

// Leaves out what the failure does not need, in ever smaller pieces, for so long.
std::vector<Step> Shrink(std::vector<Step> steps, Failure* failure, std::chrono::seconds patience) {
  const auto end = Clock::now() + patience;
  steps.resize(failure->step + 1);
  for (std::size_t piece = steps.size() / 2; piece > 0; piece /= 2) {
    for (std::size_t at = 0; at + piece <= steps.size() && Clock::now() < end;) {
      std::vector<Step> fewer = steps;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                  fewer.begin() + static_cast<std::ptrdiff_t>(at + piece));
      if (const auto still = Play(fewer)) {
        fewer.resize(still->step + 1);
        steps = std::move(fewer);
        *failure = *still;
      } else {
        at += piece;
      }
    }
  }
  return steps;
}

void PlaySeed(unsigned seed, int* changes) {
  auto failure = Play(Sequence(seed), changes);
  if (!failure) return;
  const auto steps = Shrink(Sequence(seed), &*failure, std::chrono::seconds(60));
  std::string text = "PEPEUNIT_PROPERTY_SEED=" + std::to_string(seed) + ", shrunk to " + std::to_string(steps.size());
  for (const std::string& told : failure->told) text += "\n  " + told;
  FAIL(text << "\n  " << failure->what);
}

const char* Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

TEST_CASE("whatever people do, the graph is what a simple model of its rules says",
          "[A0][A1][A3][A4][A5][G1][G2][G3][G5][R7][R10][S3][S4][U3][U8][U9][U11]") {
  int changes = 0;
  if (const char* seed = Environment("PEPEUNIT_PROPERTY_SEED"); *seed != 0)
    return PlaySeed(static_cast<unsigned>(std::strtoul(seed, nullptr, 10)), &changes);
  const char* said = Environment("PEPEUNIT_PROPERTY_SECONDS");
  const auto end = Clock::now() + std::chrono::seconds(*said != 0 ? std::atoi(said) : 15);
  // The same ones each time, so that a change is held against what held before; then others.
  int played = 0;
  for (unsigned seed = 1; seed <= 3; ++seed, ++played) PlaySeed(seed, &changes);
  std::random_device random;
  for (; Clock::now() < end; ++played) PlaySeed(random(), &changes);
  std::cout << played << " sequences of " << kSteps << " steps, " << changes << " changes\n";
  CHECK(changes > played * 10);  // else it was refused nearly everything, and shows little
}
