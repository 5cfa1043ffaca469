package org.parallelcomp.backend.onnx.runtime;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/** Options of a session, made for one call. */
final class SessionOptions {
  private SessionOptions() {}

  static MemorySegment create(OrtApi api, Arena call, String name, OrtSettings settings) {
    MemorySegment options = api.create(OrtFunction.CREATE_SESSION_OPTIONS);
    try {
      api.call(OrtFunction.DISABLE_PER_SESSION_THREADS, options);
      api.call(OrtFunction.SET_SESSION_LOG_ID, options, call.allocateFrom(name));
      api.call(
          OrtFunction.SET_SESSION_GRAPH_OPTIMIZATION_LEVEL,
          options,
          switch (settings.optimization()) {
            case "none" -> 0;
            case "basic" -> 1;
            case "extended" -> 2;
            default -> 99;
          });
      entry(api, call, options, "session.use_env_allocators", "1");
      if (settings.profile() != null) {
        MemorySegment prefix = call.allocateFrom(settings.profile() + "-" + name);
        api.call(OrtFunction.ENABLE_PROFILING, options, prefix);
      }
      append(api, call, options, settings.provider(), settings.providerOptions());
      return options;
    } catch (RuntimeException e) {
      api.release(OrtFunction.RELEASE_SESSION_OPTIONS, options);
      throw e;
    }
  }

  private static void entry(
      OrtApi api, Arena call, MemorySegment options, String key, String value) {
    api.call(
        OrtFunction.ADD_SESSION_CONFIG_ENTRY,
        options,
        call.allocateFrom(key),
        call.allocateFrom(value));
  }

  /** Puts an execution provider before the processor's, which is always there. */
  private static void append(
      OrtApi api,
      Arena call,
      MemorySegment options,
      String provider,
      Map<String, String> providerOptions) {
    MemorySegment keys = call.allocate(ValueLayout.ADDRESS, Math.max(1, providerOptions.size()));
    MemorySegment values = call.allocate(ValueLayout.ADDRESS, Math.max(1, providerOptions.size()));
    int count = 0;
    for (Map.Entry<String, String> option : providerOptions.entrySet()) {
      keys.setAtIndex(ValueLayout.ADDRESS, count, call.allocateFrom(option.getKey()));
      values.setAtIndex(ValueLayout.ADDRESS, count++, call.allocateFrom(option.getValue()));
    }
    switch (provider) {
      case "cpu" -> {}
      case "cuda" -> {
        MemorySegment cuda = api.create(OrtFunction.CREATE_CUDA_PROVIDER_OPTIONS);
        try {
          api.call(OrtFunction.UPDATE_CUDA_PROVIDER_OPTIONS, cuda, keys, values, (long) count);
          api.call(OrtFunction.APPEND_CUDA_V2, options, cuda);
        } finally {
          api.release(OrtFunction.RELEASE_CUDA_PROVIDER_OPTIONS, cuda);
        }
      }
      case "tensorrt" -> {
        MemorySegment tensorrt = api.create(OrtFunction.CREATE_TENSORRT_PROVIDER_OPTIONS);
        try {
          api.call(
              OrtFunction.UPDATE_TENSORRT_PROVIDER_OPTIONS, tensorrt, keys, values, (long) count);
          api.call(OrtFunction.APPEND_TENSORRT_V2, options, tensorrt);
        } finally {
          api.release(OrtFunction.RELEASE_TENSORRT_PROVIDER_OPTIONS, tensorrt);
        }
      }
      default ->
          api.call(
              OrtFunction.APPEND_EXECUTION_PROVIDER,
              options,
              call.allocateFrom(Providers.apiName(provider)),
              keys,
              values,
              (long) count);
    }
  }
}
