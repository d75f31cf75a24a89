# What every target of the project is compiled with.
add_library(mlferry_flags INTERFACE)
target_compile_options(mlferry_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
target_compile_definitions(mlferry_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED SPDLOG_FMT_EXTERNAL)
target_include_directories(mlferry_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
if(MLFERRY_SANITIZE)
  target_compile_options(mlferry_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(mlferry_flags INTERFACE -fsanitize=address,undefined)
endif()

# Compiles the headers that nearly every file reads once for the target. `extra`: more headers, for tests.
function(mlferry_precompile target)
  target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.hpp ${ARGN})
  # Times of headers do not count, so that ccache can take it from another checkout.
  target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endfunction()

# Compiles eight files as one: what they instantiate alike is made once. Their file-local names must differ; files whose
# names are few and the same by design stand apart: ALONE.
function(mlferry_group target)
  cmake_parse_arguments(G "" "" "ALONE" ${ARGN})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(G_ALONE)
    file(GLOB_RECURSE alone CONFIGURE_DEPENDS ${G_ALONE})
    set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# mlferry_layer(<name> SOURCES <glob>... LINK <targets>... [PRECOMPILE <headers>...]): one static library a layer.
function(mlferry_layer name)
  cmake_parse_arguments(L "" "" "SOURCES;LINK;PRECOMPILE" ${ARGN})
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${L_SOURCES})
  if(NOT files)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.cpp "")
    set(files ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.cpp)
  endif()
  add_library(mlferry_${name} STATIC ${files})
  target_link_libraries(mlferry_${name} PUBLIC mlferry_flags ${L_LINK})
  mlferry_precompile(mlferry_${name} ${L_PRECOMPILE})
endfunction()
