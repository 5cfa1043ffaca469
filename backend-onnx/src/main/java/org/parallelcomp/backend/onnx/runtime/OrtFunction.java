package org.parallelcomp.backend.onnx.runtime;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;

/**
 * The functions of ONNX Runtime's C interface that are used here: their place in the table {@code
 * OrtApi} of {@code onnxruntime_c_api.h}, which only ever grows at its end, and their parameters (p
 * pointer, l size or 64-bit integer, i 32-bit integer or enumeration). Most return a status, which
 * is null for success.
 */
enum OrtFunction {
  GET_ERROR_MESSAGE(2, 'p', "p"),
  DISABLE_TELEMETRY_EVENTS(6, "p"),
  CREATE_SESSION_FROM_ARRAY(8, "pplpp"),
  RUN(9, "pppplplp"),
  CREATE_SESSION_OPTIONS(10, "p"),
  ENABLE_PROFILING(14, "pp"),
  SET_SESSION_LOG_ID(20, "pp"),
  SET_SESSION_GRAPH_OPTIMIZATION_LEVEL(23, "pi"),
  CREATE_TENSOR_WITH_DATA(49, "pplplip"),
  CREATE_CPU_MEMORY_INFO(69, "iip"),
  ALLOCATOR_FREE(76, "pp"),
  GET_DEFAULT_ALLOCATOR(78, "p"),
  RELEASE_ENV(92, 'v', "p"),
  RELEASE_STATUS(93, 'v', "p"),
  RELEASE_MEMORY_INFO(94, 'v', "p"),
  RELEASE_SESSION(95, 'v', "p"),
  RELEASE_VALUE(96, 'v', "p"),
  RELEASE_SESSION_OPTIONS(100, 'v', "p"),
  SESSION_END_PROFILING(110, "ppp"),
  DISABLE_PER_SESSION_THREADS(120, "p"),
  CREATE_THREADING_OPTIONS(121, "p"),
  RELEASE_THREADING_OPTIONS(122, 'v', "p"),
  GET_AVAILABLE_PROVIDERS(125, "pp"),
  RELEASE_AVAILABLE_PROVIDERS(126, "pi"),
  ADD_SESSION_CONFIG_ENTRY(130, "ppp"),
  CREATE_AND_REGISTER_ALLOCATOR(144, "ppp"),
  SET_GLOBAL_INTRA_OP_NUM_THREADS(147, "pi"),
  SET_GLOBAL_INTER_OP_NUM_THREADS(148, "pi"),
  SET_GLOBAL_SPIN_CONTROL(149, "pi"),
  CREATE_ENV_WITH_CUSTOM_LOGGER_AND_GLOBAL_THREAD_POOLS(151, "ppippp"),
  RELEASE_ARENA_CFG(157, 'v', "p"),
  CREATE_ARENA_CFG_V2(164, "pplp"),
  APPEND_TENSORRT_V2(170, "pp"),
  CREATE_TENSORRT_PROVIDER_OPTIONS(171, "p"),
  UPDATE_TENSORRT_PROVIDER_OPTIONS(172, "pppl"),
  RELEASE_TENSORRT_PROVIDER_OPTIONS(174, 'v', "p"),
  APPEND_CUDA_V2(204, "pp"),
  CREATE_CUDA_PROVIDER_OPTIONS(205, "p"),
  UPDATE_CUDA_PROVIDER_OPTIONS(206, "pppl"),
  RELEASE_CUDA_PROVIDER_OPTIONS(208, 'v', "p"),
  ADD_EXTERNAL_INITIALIZERS(210, "pppl"),
  APPEND_EXECUTION_PROVIDER(216, "ppppl");

  private final int index;
  private final char result;
  private final String parameters;

  OrtFunction(int index, String parameters) {
    this(index, 'p', parameters);
  }

  OrtFunction(int index, char result, String parameters) {
    this.index = index;
    this.result = result;
    this.parameters = parameters;
  }

  /** Returns the place in the table of functions. */
  int index() {
    return index;
  }

  FunctionDescriptor descriptor() {
    MemoryLayout[] layouts =
        parameters.chars().mapToObj(OrtFunction::layout).toArray(MemoryLayout[]::new);
    return result == 'v'
        ? FunctionDescriptor.ofVoid(layouts)
        : FunctionDescriptor.of(layout(result), layouts);
  }

  private static MemoryLayout layout(int letter) {
    return switch (letter) {
      case 'p' -> ValueLayout.ADDRESS;
      case 'l' -> ValueLayout.JAVA_LONG;
      case 'i' -> ValueLayout.JAVA_INT;
      default -> throw new IllegalArgumentException("parameter " + (char) letter);
    };
  }
}
