using Compress.Core.Tests.Runs;
using Compress.Formats.Checkpoints;
using Compress.Runtime.Measuring;

namespace Compress.Core.Tests.Pipeline;

[Collection(nameof(WholeRuns))]
public sealed class MemoryTests
{
    [Fact]
    public void Pages_of_a_released_tensor_leave_resident_memory()
    {
        const int Size = 128 << 20;
        using var folder = new TemporaryFolder();
        var path = folder.At("big.safetensors");
        using (var writer = SafetensorsWriter.Create(path, [TensorInfo.Of("t", ElementType.U8, Size)]))
        {
            var piece = new byte[1 << 20];
            for (var i = 0; i < Size; i += piece.Length) writer.Write("t", piece);
            writer.Complete();
        }
        using var file = SafetensorsFile.Map(path);
        var before = ProcessMemory.Resident;
        var bytes = file.Open("t").Bytes(0, Size);
        long sum = 0;
        for (var i = 0; i < Size; i += 512) sum += bytes[i];
        Assert.Equal(0, sum);
        var touched = ProcessMemory.Resident;
        file.Release("t");
        var released = ProcessMemory.Resident;
        Assert.True(touched - before > Size / 2, $"reading should have mapped the file: {before} to {touched}");
        Assert.True(touched - released > Size / 2, $"releasing should have unmapped it: {touched} to {released}");
        Assert.Equal(0, file.Open("t").Bytes(Size - 1, 1)[0]);
        // The system counts pages in batches for each core, so that the two figures may differ a little.
        Assert.True(ProcessMemory.Peak > touched - (16 << 20));
    }
}
