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
