using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>A site as a stage leaves it; owns its tensor.</summary>
/// <param name="Site">Which site.</param>
/// <param name="Weight">
/// The new weight <c>[out, in]</c> as later stages and readers see it: in the checkpoint's element type, or the exact decode in f32 where
/// it is quantized.
/// </param>
/// <param name="Encoded">Its encoding, where the stage quantized.</param>
internal sealed record CompressedSite(SelectableSite Site, torch.Tensor Weight, EncodedWeight? Encoded) : IDisposable
{
    public void Dispose() => Weight.Dispose();
}
