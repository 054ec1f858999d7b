# Compiler flags and build helpers for all of our targets. Everything optional is used when present and left out
# aloud when not.

find_program(PEPEUNIT_CCACHE ccache)
if(PEPEUNIT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PEPEUNIT_CCACHE})
else()
  message(STATUS "ccache not found: rebuilding from scratch takes longer")
endif()

find_program(PEPEUNIT_LLD ld.lld)
if(PEPEUNIT_LLD)
  add_link_options(-fuse-ld=lld)
else()
  message(STATUS "lld not found: linking with the default linker")
endif()

# Unity builds pay because gRPC's and Beast's headers dominate the compile time.
option(PEPEUNIT_UNITY "Compile each target's sources as a few units" ON)
set(CMAKE_UNITY_BUILD ${PEPEUNIT_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)

set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

set(PEPEUNIT_SANITIZE "" CACHE STRING "'', address (with undefined), thread or fuzzer (with address and undefined)")
if(PEPEUNIT_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PEPEUNIT_SANITIZE STREQUAL "thread")
  # -Wno-tsan: gcc warns that it does not model atomic_thread_fence, which Boost uses.
  # -U__SANITIZE_THREAD__: with it, headers of protobuf and abseil lay out classes differently from Debian's libraries.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-tsan -U__SANITIZE_THREAD__)
  add_link_options(-fsanitize=thread)
elseif(PEPEUNIT_SANITIZE STREQUAL "fuzzer")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PEPEUNIT_SANITIZE)
  message(FATAL_ERROR "PEPEUNIT_SANITIZE must be empty, address, thread or fuzzer, not '${PEPEUNIT_SANITIZE}'")
endif()

if(PEPEUNIT_SANITIZE)
  add_compile_definitions(PEPEUNIT_SANITIZED)
endif()

add_library(pepeunit_warnings INTERFACE)
target_compile_options(pepeunit_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A unity build includes .cpp files, and gcc takes an anonymous namespace in an included file for one in a header.
  target_compile_options(pepeunit_warnings INTERFACE -Werror -Wno-subobject-linkage)
else()
  # clang builds the fuzzers only; what it warns of besides is not what the code is held to.
  target_compile_options(pepeunit_warnings INTERFACE -w)
endif()
