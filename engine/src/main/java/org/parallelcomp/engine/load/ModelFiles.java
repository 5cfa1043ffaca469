package org.parallelcomp.engine.load;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** Opens models: a GGUF file, or a folder in the layout of Hugging Face. */
public final class ModelFiles {
  private ModelFiles() {}

  /**
   * Reads what a model's files say about it. No weight is read, except the few factors by which
   * some GGUF files scale their rotary embedding.
   *
   * @param path a GGUF file, or a folder with config.json, tokenizer.json and safetensors
   * @throws InferenceException FILE_NOT_READABLE, CORRUPT_FILE or UNSUPPORTED_MODEL
   */
  public static ModelSource open(Path path) {
    if (Files.isDirectory(path)) {
      return HuggingFaceFolder.open(path);
    }
    if (!Files.exists(path)) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "There is no model file or folder '" + path + "'.");
    }
    if (!beginsAsGguf(path)) {
      String name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
      if (name.endsWith(".safetensors") || name.endsWith(".json")) {
        throw new InferenceException(
            ErrorCode.FILE_NOT_READABLE,
            "'"
                + path
                + "' is one file of a model; give the folder that holds it, config.json and"
                + " tokenizer.json.");
      }
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "'"
              + path
              + "' is no model file: a GGUF file begins with the letters GGUF, and safetensors are"
              + " given as their folder.");
    }
    return GgufModel.open(path);
  }

  private static boolean beginsAsGguf(Path path) {
    try (InputStream in = Files.newInputStream(path)) {
      byte[] magic = in.readNBytes(4);
      return magic.length == 4
          && ByteBuffer.wrap(magic).order(ByteOrder.LITTLE_ENDIAN).getInt() == GgufFile.MAGIC;
    } catch (IOException e) {
      throw SmallFiles.unreadable(path, e);
    }
  }
}
