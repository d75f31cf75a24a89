#pragma once
// Traces as MLflow 2.14 to 3.1 describes them, in the form that came with 3.2. Pure functions.

#include <boost/json/object.hpp>

namespace mlferry::mlflow {

// {request_id, experiment_id, timestamp_ms, execution_time_ms, status, request_metadata:[{key,value}], tags:[..]}
// -> {trace_id, trace_location, request_time, execution_duration, state, trace_metadata:{}, tags:{}}, times
// written as the newer server writes them. Nothing is lost: fields that are not named here stay as they are,
// and so do named ones of another type. A trace in progress has no duration yet, which the older form shows as 0.
boost::json::object trace_info_from_v2(boost::json::object info);

}  // namespace mlferry::mlflow
