using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class SafetensorsFileTests : IDisposable
{
    // What the written format forbids although the reference implementation reads it; the rest of "divergent" is accepted.
    static readonly string[] Strict =
    [
        "divergent/01-duplicate-tensor-same.safetensors",
        "divergent/02-duplicate-tensor-last-wins.safetensors",
        "divergent/03-duplicate-metadata-key.safetensors",
        "divergent/04-metadata-null.safetensors",
        "divergent/06-leading-space.safetensors",
        "divergent/07-newline-padding.safetensors",
        "divergent/08-entry-as-3-array.safetensors",
    ];

    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedDataFact]
    public void Every_golden_file_gets_its_verdict()
    {
        var root = SharedData.At("golden", "packing", "safetensors");
        using var manifest = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "manifest.json")));
        var wrong = new List<string>();
        var (accepted, refused) = (0, 0);
        foreach (var entry in manifest.RootElement.EnumerateArray())
        {
            var name = entry.GetProperty("file").GetString()!;
            var path = Path.Combine(root, name);
            Assert.Equal(entry.GetProperty("sha256").GetString(), Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path))));
            var expected = entry.GetProperty("verdict").GetString() == "accept" && !Strict.Contains(name);
            var problem = Check(path, expected ? entry.GetProperty("reference").GetString() : null);
            if (expected) accepted++;
            else refused++;
            if (problem is not null) wrong.Add($"{name}: {problem}");
        }
        Assert.Empty(wrong);
        Assert.Equal((24, 65), (accepted, refused));
    }

    static string? Check(string path, string? expected)
    {
        try
        {
            using var file = SafetensorsFile.Map(path);
            if (expected is null) return "accepted";
            var tensors = file.Tensors.Values.OrderBy(t => t.Name, StringComparer.Ordinal).Select(Describe).ToList();
            var actual = tensors.Count == 0 ? "no tensors" : string.Join("|", tensors);
            // The manifest keeps the first line of the reference's description, at most 300 characters of it.
            actual = actual.Split('\n')[0];
            actual = actual[..Math.Min(actual.Length, 300)];
            return actual == expected ? null : $"read as {actual}";
        }
        catch (ModelFileException e)
        {
            return expected is not null ? e.Message : e.File == path ? null : "names another file";
        }
    }

    static string Describe(TensorInfo t)
    {
        var shape = string.Join(", ", t.Shape).Replace("9223372036854775807", "18446744073709551615", StringComparison.Ordinal);
        return string.Create(CultureInfo.InvariantCulture, $"{t.Name}:{t.Type.SafetensorsName()}:[{shape}]:{t.ByteCount}");
    }

    [Fact]
    public void Data_is_found_behind_the_header()
    {
        var path = folder.Write("a.safetensors", Bytes(
            """{"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""",
            [1, 2, 3, 4, 0, 0, 128, 63, 0, 0, 0, 192]));
        using var file = SafetensorsFile.Map(path);
        Assert.Equal(["a", "b"], file.Tensors.Keys);
        Assert.Equal([1, 2, 3, 4], file.Open("a").Bytes(0, 4).ToArray());
        Assert.Equal(1f, BinaryPrimitives.ReadSingleLittleEndian(file.Open("b").Bytes(0, 4)));
        Assert.Equal(-2f, BinaryPrimitives.ReadSingleLittleEndian(file.Open("b").Bytes(4, 4)));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Open("a").Bytes(1, 4).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Open("a").Bytes(long.MaxValue, 4).Length);
    }

    [Fact]
    public void A_view_cannot_be_read_after_its_file_is_closed()
    {
        var path = folder.Write("a.safetensors", Bytes("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", [7]));
        var file = SafetensorsFile.Map(path);
        var view = file.Open("a");
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => view.Bytes(0, 1).Length);
        Assert.Throws<ObjectDisposedException>(() => file.Open("a"));
    }

    [Fact]
    public void An_unknown_name_gives_the_nearest()
    {
        var path = folder.Write("a.safetensors", Bytes(
            """{"model.layers.0.mlp.up_proj.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", [7]));
        using var file = SafetensorsFile.Map(path);
        var e = Assert.Throws<ModelFileException>(() => file.Open("model.layers.0.mlp.up_proj.wieght"));
        Assert.Contains("model.layers.0.mlp.up_proj.weight", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_a_folder_and_an_unreadable_path_are_named()
    {
        Assert.Contains("does not exist", Assert.Throws<ModelFileException>(() => SafetensorsFile.Map(folder.At("none"))).Message,
            StringComparison.Ordinal);
        Assert.Contains("folder", Assert.Throws<ModelFileException>(() =>
            SafetensorsFile.Map(folder.Path)).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() => SafetensorsFile.Map("a\0b"));
    }

    [Fact]
    public void Damage_of_any_single_byte_or_a_cut_is_a_file_error_or_a_valid_file()
    {
        var whole = Bytes(
            """
            {"__metadata__":{"format":"pt"},
            "a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},
            "b":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}
            """,
            [1, 2, 3, 4, 5]);
        var path = folder.At("m.safetensors");
        var refused = 0;
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Throws<ModelFileException>(() => SafetensorsFile.Map(path));
        }
        var random = new Random(1);
        for (var i = 0; i < whole.Length; i++)
        {
            foreach (var value in new[] { 0, 255, '"', '9', random.Next(256) })
            {
                var bytes = (byte[])whole.Clone();
                bytes[i] = (byte)value;
                File.WriteAllBytes(path, bytes);
                refused += Touch(path) ? 0 : 1;
            }
        }
        Assert.InRange(refused, 300, 5 * whole.Length);
    }

    static bool Touch(string path)
    {
        try
        {
            using var file = SafetensorsFile.Map(path);
            foreach (var (name, info) in file.Tensors) Assert.Equal(info.ByteCount, file.Open(name).Bytes(0, (int)info.ByteCount).Length);
            return true;
        }
        catch (ModelFileException)
        {
            return false;
        }
    }

    static byte[] Bytes(string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + json.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        data.CopyTo(bytes, 8 + json.Length);
        return bytes;
    }
}
