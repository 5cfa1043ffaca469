package org.parallelcomp.engine.load;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.engine.PromptForm;

/**
 * A small properties file (UTF-8) beside a model with the words that suit it: {@code
 * model.parallelcomp.properties} beside {@code model.gguf} and {@code model-q8_0.gguf} (the name
 * with the type of the weights goes first, if there is such a file), or {@code
 * parallelcomp.properties} in the folder.
 *
 * <pre>
 * instruction     what stands before the text
 * question-form   what stands behind it, with {question} once
 * answer-lead     how the answer is made to begin
 * </pre>
 */
final class Sidecar {
  private static final String NAME = "parallelcomp.properties";
  private static final Set<String> KEYS = Set.of("instruction", "question-form", "answer-lead");

  private static final Pattern TYPE_SUFFIX = Pattern.compile("(?i)[-._](b?f16|f32|i?q\\d\\w*)$");

  private Sidecar() {}

  static PromptForm besideFile(Path model) {
    String stem = String.valueOf(model.getFileName()).replaceFirst("(?i)[.]gguf$", "");
    Path exact = model.resolveSibling(stem + "." + NAME);
    return read(
        Files.exists(exact)
            ? exact
            : model.resolveSibling(TYPE_SUFFIX.matcher(stem).replaceFirst("") + "." + NAME));
  }

  static PromptForm inFolder(Path folder) {
    return read(folder.resolve(NAME));
  }

  private static PromptForm read(Path path) {
    if (!Files.exists(path)) {
      return PromptForm.DEFAULT;
    }
    Properties properties = new Properties();
    try {
      properties.load(new StringReader(SmallFiles.text(path)));
    } catch (IOException | IllegalArgumentException e) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE, "'" + path + "' is no properties file: " + e.getMessage(), e);
    }
    for (String key : new TreeSet<>(properties.stringPropertyNames())) {
      if (!KEYS.contains(key)) {
        throw Names.unknown("setting in '" + path + "' called", key, KEYS);
      }
    }
    PromptForm otherwise = PromptForm.DEFAULT;
    return new PromptForm(
        properties.getProperty("instruction", otherwise.instruction()),
        properties.getProperty("question-form", otherwise.questionForm()),
        properties.getProperty("answer-lead", otherwise.answerLead()));
  }
}
