package org.parallelcomp.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;

/** What the provider says and refuses, with or without a device. */
class CudaBackendProviderTest {
  private final CudaBackendProvider provider = new CudaBackendProvider();

  @Test
  void isFoundByTheServiceLoader() {
    assertTrue(
        ServiceLoader.load(BackendProvider.class).stream()
            .anyMatch(found -> found.type() == CudaBackendProvider.class));
  }

  @Test
  void withoutADeviceEveryReasonHasACauseAndARemedy() {
    assumeTrue(provider.probe() instanceof Availability.Unusable, "there is a device");
    List<Availability.Reason> reasons = ((Availability.Unusable) provider.probe()).reasons();
    assertFalse(reasons.isEmpty());
    for (Availability.Reason reason : reasons) {
      assertFalse(reason.cause().isBlank());
      assertFalse(reason.remedy().isBlank());
    }
    InferenceException refused =
        assertThrows(InferenceException.class, () -> provider.open(new BackendConfig(1, Map.of())));
    assertEquals(ErrorCode.BACKEND_UNAVAILABLE, refused.code());
    for (Availability.Reason reason : reasons) {
      assertTrue(refused.getMessage().contains(reason.cause()), refused.getMessage());
    }
  }

  @Test
  void anUnknownOptionIsRefusedBeforeAnythingNativeIsTouched() {
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () -> provider.open(new BackendConfig(1, Map.of("divice", "0"))));
    assertEquals(ErrorCode.UNKNOWN_NAME, refused.code());
    assertTrue(refused.getMessage().contains("device"), refused.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-1", "first", "1.0", "99999"})
  void aDeviceIsANumber(String device) {
    InferenceException refused =
        assertThrows(
            InferenceException.class,
            () -> CudaOptions.of(new BackendConfig(1, Map.of("device", device))));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
  }

  @Test
  void aDeviceThatIsNotThereIsRefusedWithThoseThatAre() {
    var old = new CudaDevice(0, "Old One", 7, 5, 40, 1 << 16, 1L << 33);
    var good = new CudaDevice(1, "Good One", 9, 0, 132, 1 << 17, 1L << 37);
    assertEquals(good, CudaOptions.of(new BackendConfig(1, Map.of())).device(List.of(old, good)));
    CudaOptions second = CudaOptions.of(new BackendConfig(1, Map.of("device", "1")));
    assertEquals(good, second.device(List.of(old, good)));
    for (String device : List.of("0", "2")) {
      CudaOptions options = CudaOptions.of(new BackendConfig(1, Map.of("device", device)));
      InferenceException refused =
          assertThrows(InferenceException.class, () -> options.device(List.of(old, good)));
      assertTrue(refused.getMessage().contains("Good One"), refused.getMessage());
    }
    assertEquals("sm_90a", good.architecture());
    assertEquals("sm_75", old.architecture());
  }
}
