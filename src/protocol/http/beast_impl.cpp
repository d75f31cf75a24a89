// The one place where Beast's separately compiled code is built.
#include <boost/beast/src.hpp>
