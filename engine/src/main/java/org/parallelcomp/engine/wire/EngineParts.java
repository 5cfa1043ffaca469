package org.parallelcomp.engine.wire;

import com.google.inject.ConfigurationException;
import com.google.inject.CreationException;
import com.google.inject.Guice;
import com.google.inject.Injector;
import com.google.inject.Key;
import com.google.inject.ProvisionException;
import com.google.inject.Stage;
import com.google.inject.TypeLiteral;
import java.util.List;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.generate.Generator;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.LoadedModel;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * The parts of an engine, put together by Guice.
 *
 * @param backends computes, one per device; the first also decodes
 * @param source the model's files
 * @param catalog policies and presets
 * @param tokenizer text to tokens
 * @param generator answers
 * @param resources what must be closed with it
 */
public record EngineParts(
    List<Backend> backends,
    ModelSource source,
    PolicyCatalog catalog,
    TextTokenizer tokenizer,
    Generator generator,
    OpenResources resources)
    implements AutoCloseable {
  private static final String GUICE_BYTECODE = "guice_bytecode_gen_option";

  /**
   * Opens everything, or nothing.
   *
   * @throws InferenceException as whatever part failed threw it
   */
  public static EngineParts open(EngineConfig config) {
    // A handful of @Provides methods needs no generated classes, and the way in which Guice defines
    // them makes newer JDKs print a warning. Whoever set the option for Guice of their own keeps
    // it.
    if (System.getProperty(GUICE_BYTECODE) == null) {
      System.setProperty(GUICE_BYTECODE, "DISABLED");
    }
    var resources = new OpenResources();
    try {
      Injector injector =
          Guice.createInjector(Stage.DEVELOPMENT, new EngineModule(config, resources));
      // The model's files first: what is wrong with them is the likeliest and cheapest refusal.
      ModelSource source = injector.getInstance(ModelSource.class);
      return new EngineParts(
          injector.getInstance(Key.get(new TypeLiteral<List<LoadedModel>>() {})).stream()
              .map(LoadedModel::backend)
              .toList(),
          source,
          injector.getInstance(PolicyCatalog.class),
          injector.getInstance(TextTokenizer.class),
          injector.getInstance(Generator.class),
          resources);
    } catch (ProvisionException | CreationException | ConfigurationException e) {
      closeAfter(e, resources);
      for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
        if (cause instanceof InferenceException failure) {
          throw failure;
        }
      }
      throw e;
    } catch (RuntimeException | Error e) {
      closeAfter(e, resources);
      throw e;
    }
  }

  @Override
  public void close() {
    resources.close();
  }

  private static void closeAfter(Throwable failure, OpenResources resources) {
    try {
      resources.close();
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }
}
