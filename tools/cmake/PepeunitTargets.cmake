# The shapes of our targets, so that every library and service is built alike.

# pepeunit_library(<name> SOURCES ... LINK ...): the static library pepeunit_<name> with its headers under include/.
function(pepeunit_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  string(REPLACE "-" "_" target pepeunit_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE pepeunit_warnings ${ARG_PRIVATE_LINK})
endfunction()

# pepeunit_service(<name> SOURCES ... LINK ...): an object library with all of the service but main.cpp, which its
# tests link too, and the program pepeunit-<name>. The .sql files under migrations/ are embedded.
function(pepeunit_service name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  string(REPLACE "-" "_" id ${name})
  set(objects pepeunit_${id}_objects)
  add_library(${objects} STATIC ${ARG_SOURCES})
  target_include_directories(${objects} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(${objects} PUBLIC ${ARG_LINK} PRIVATE pepeunit_warnings)
  file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/migrations/*.sql)
  if(migrations)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/generated/migrations.h)
    add_custom_command(
      OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -DOUT=${out} "-DFILES=${migrations}" -DNAMESPACE=${id}
              -P ${CMAKE_SOURCE_DIR}/tools/cmake/EmbedMigrations.cmake
      DEPENDS ${migrations} ${CMAKE_SOURCE_DIR}/tools/cmake/EmbedMigrations.cmake
      VERBATIM)
    target_sources(${objects} PRIVATE ${out})
    target_include_directories(${objects} PUBLIC ${CMAKE_CURRENT_BINARY_DIR}/generated)
  endif()
  add_executable(pepeunit-${name} main.cpp)
  target_link_libraries(pepeunit-${name} PRIVATE ${objects} pepeunit_warnings)
endfunction()

# pepeunit_test(<name> SOURCES ... LINK ...): a Catch2 program whose cases ctest runs one by one.
function(pepeunit_test name)
  if(NOT PEPEUNIT_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  string(REPLACE "-" "_" target ${name}_tests)
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINK} Catch2::Catch2WithMain)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Werror)
  target_compile_definitions(${target} PRIVATE PEPEUNIT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${target} --durations no)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
