package org.parallelcomp.conformance.faults;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;

/** The reference backend with one method in place of another. */
public final class Breaking {
  private static final Set<Class<?>> FAMILIES =
      Set.of(
          TensorOps.class,
          DecoderOps.class,
          AttentionOps.class,
          CacheOps.class,
          HostTransfer.class);

  /** What stands in place of a method. */
  @FunctionalInterface
  public interface Broken {
    Object call(Call call) throws Exception;
  }

  /**
   * A call of the method that is broken.
   *
   * @param backend the honest backend
   * @param target whose method was called, honest too
   * @param method the method
   * @param arguments its arguments
   */
  public record Call(Backend backend, Object target, Method method, Object[] arguments) {
    /** Does what the method should do. */
    public Object honestly() {
      return honestly(arguments);
    }

    /** Does what the method should do, with other arguments. */
    Object honestly(Object... others) {
      try {
        return invoke(target, method, others);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
    }

    /** Does what the method should do, with one argument changed. */
    Object with(int index, Object argument) {
      Object[] others = arguments.clone();
      others[index] = argument;
      return honestly(others);
    }

    <T> T get(int index, Class<T> type) {
      return type.cast(arguments[index]);
    }

    Tensor tensor(int index) {
      return (Tensor) arguments[index];
    }

    int integer(int index) {
      return (int) arguments[index];
    }

    /** Returns the numbers of a tensor argument. */
    float[] numbers(int index) {
      return backend.host().copyToHostFloats(tensor(index));
    }

    /** Returns the numbers of any tensor. */
    float[] numbers(Tensor tensor) {
      return backend.host().copyToHostFloats(tensor);
    }

    void write(Tensor tensor, float[] numbers) {
      backend.host().copyFromHost(tensor, numbers);
    }

    /** Changes the numbers of a tensor one by one. */
    void change(Tensor tensor, UnaryOperator<Float> change) {
      float[] numbers = numbers(tensor);
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = change.apply(numbers[i]);
      }
      write(tensor, numbers);
    }

    /** Returns a new tensor of changed numbers, which lives as long as the backend. */
    Tensor changed(Tensor tensor, UnaryOperator<Float> change) {
      Tensor copy = backend.openScope("changed").allocate(DType.F32, tensor.shape());
      write(copy, numbers(tensor));
      change(copy, change);
      return copy;
    }
  }

  private Breaking() {}

  /** Returns the reference backend behind the same proxies as the broken ones, but whole. */
  public static BackendProvider nothing() {
    return method(Backend.class, "none", Call::honestly).get();
  }

  /** Breaks a method of the backend or of one of its families. */
  public static Supplier<BackendProvider> method(Class<?> family, String method, Broken broken) {
    return () -> opening(honest -> backend(honest, family, method, broken, scope -> scope));
  }

  /** Breaks the scopes that the backend opens. */
  static Supplier<BackendProvider> scopes(UnaryOperator<MemoryScope> broken) {
    return () -> opening(honest -> backend(honest, Backend.class, "none", Call::honestly, broken));
  }

  /** Breaks a method of the provider. */
  static Supplier<BackendProvider> provider(String method, Broken broken) {
    return () -> {
      BackendProvider honest = new ReferenceBackendProvider();
      return proxy(
          BackendProvider.class,
          (proxy, called, arguments) ->
              called.getName().equals(method)
                  ? broken.call(new Call(new ReferenceBackend(), honest, called, arguments))
                  : invoke(honest, called, arguments));
    };
  }

  private static BackendProvider opening(UnaryOperator<Backend> breaking) {
    BackendProvider honest = new ReferenceBackendProvider();
    return proxy(
        BackendProvider.class,
        (proxy, called, arguments) -> {
          Object result = invoke(honest, called, arguments);
          return result instanceof Backend backend ? breaking.apply(backend) : result;
        });
  }

  private static Backend backend(
      Backend honest,
      Class<?> family,
      String method,
      Broken broken,
      UnaryOperator<MemoryScope> scopes) {
    return proxy(
        Backend.class,
        (proxy, called, arguments) -> {
          Object[] known = honestScopes(arguments);
          if (family == Backend.class && called.getName().equals(method)) {
            return broken.call(new Call(honest, honest, called, known));
          }
          Object result = invoke(honest, called, known);
          if (result instanceof MemoryScope scope) {
            return scopes.apply(scope);
          }
          return FAMILIES.contains(called.getReturnType())
              ? family(called.getReturnType(), result, honest, family, method, broken)
              : result;
        });
  }

  private static <T> T family(
      Class<T> type, Object target, Backend honest, Class<?> family, String method, Broken broken) {
    return proxy(
        type,
        (proxy, called, arguments) -> {
          Object[] known = honestScopes(arguments);
          return family == type && called.getName().equals(method)
              ? broken.call(new Call(honest, target, called, known))
              : invoke(target, called, known);
        });
  }

  /** The honest backend knows its own scopes only. */
  private static Object[] honestScopes(Object[] arguments) {
    return arguments == null
        ? new Object[0]
        : Arrays.stream(arguments)
            .map(a -> a instanceof BrokenScope broken ? broken.honest() : a)
            .toArray();
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
  }

  private static Object invoke(Object target, Method method, Object[] arguments) throws Throwable {
    try {
      // The implementations are not public, but their interfaces are.
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  /** Returns a list argument with its elements' type. */
  @SuppressWarnings("unchecked")
  static <T> List<T> list(Object argument) {
    return (List<T>) argument;
  }
}
