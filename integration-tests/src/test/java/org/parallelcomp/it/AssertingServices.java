package org.parallelcomp.it;

import java.io.IOException;
import java.net.URL;
import java.util.Enumeration;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.parallelcomp.backend.cpu.vector.CpuBackendProvider;
import org.parallelcomp.backend.cuda.CudaBackendProvider;
import org.parallelcomp.backend.onnx.OnnxBackendProvider;
import org.parallelcomp.conformance.asserting.AssertingBackendProvider;
import org.parallelcomp.conformance.asserting.AssertingPolicyProvider;
import org.parallelcomp.core.policies.CorePolicies;

/**
 * Puts {@link AssertingBackendProvider} and {@link AssertingPolicyProvider} before every backend
 * and policy that ServiceLoader finds, in all tests of this module. The engine looks services up by
 * the thread's context class loader; here that is one which shows other service files, those below
 * {@code asserting/}. JUnit finds this extension by its own service file.
 */
public final class AssertingServices implements BeforeAllCallback {
  /** Creates the extension; called by JUnit. */
  public AssertingServices() {}

  @Override
  public void beforeAll(ExtensionContext context) {
    Thread thread = Thread.currentThread();
    if (!(thread.getContextClassLoader() instanceof Services)) {
      thread.setContextClassLoader(new Services(AssertingServices.class.getClassLoader()));
    }
  }

  private static final class Services extends ClassLoader {
    private static final String FILES = "META-INF/services/org.parallelcomp.";

    Services(ClassLoader parent) {
      super(parent);
    }

    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
      return name.startsWith(FILES)
          ? super.getResources(name.replace("META-INF/services", "asserting"))
          : super.getResources(name);
    }
  }

  /** Stands before the backend of this name. */
  public static final class CpuVector extends AssertingBackendProvider {
    /** Creates the provider; called by the service loader. */
    public CpuVector() {
      super(new CpuBackendProvider());
    }
  }

  /** Stands before the backend of this name. */
  public static final class Cuda extends AssertingBackendProvider {
    /** Creates the provider; called by the service loader. */
    public Cuda() {
      super(new CudaBackendProvider());
    }
  }

  /** Stands before the backend of this name. */
  public static final class Onnx extends AssertingBackendProvider {
    /** Creates the provider; called by the service loader. */
    public Onnx() {
      super(new OnnxBackendProvider());
    }
  }

  /** Stands before the policies of the project. */
  public static final class Policies extends AssertingPolicyProvider {
    /** Creates the provider; called by the service loader. */
    public Policies() {
      super(new CorePolicies());
    }
  }
}
