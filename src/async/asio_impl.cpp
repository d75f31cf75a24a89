// The one place where Asio's and its TLS part's separately compiled code is built.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
