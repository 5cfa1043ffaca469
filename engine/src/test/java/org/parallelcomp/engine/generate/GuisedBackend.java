package org.parallelcomp.engine.generate;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.function.BiFunction;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** A backend that says other things of itself, and is full when a test wants it to be. */
final class GuisedBackend {
  int blockTokens = BackendTraits.DEFAULT.blockTokens();
  long freeBytes = Long.MAX_VALUE;

  /** How many more layers are cut until the device is full. */
  int cutsUntilFull = Integer.MAX_VALUE;

  /** Returns a backend in this guise, which may change at any time. */
  Backend of(Backend real) {
    return proxy(
        Backend.class,
        real,
        (method, result) ->
            switch (method) {
              case "traits" -> traits((BackendTraits) result);
              case "info" -> info((BackendInfo) result);
              case "cache" -> proxy(CacheOps.class, (CacheOps) result, this::cut);
              default -> result;
            });
  }

  private BackendTraits traits(BackendTraits traits) {
    return new BackendTraits(traits.cacheType(), blockTokens, traits.copiesWeights());
  }

  private BackendInfo info(BackendInfo info) {
    return new BackendInfo(
        info.id(),
        info.device(),
        info.threads(),
        info.totalBytes(),
        Math.min(info.freeBytes(), freeBytes),
        info.facts());
  }

  private Object cut(String method, Object result) {
    if (method.equals("compact") && cutsUntilFull-- <= 0) {
      throw new InferenceException(ErrorCode.OUT_OF_MEMORY, "The device is full.");
    }
    return result;
  }

  private static <T> T proxy(Class<T> type, T real, BiFunction<String, Object, Object> change) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              try {
                return change.apply(method.getName(), method.invoke(real, arguments));
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            }));
  }
}
