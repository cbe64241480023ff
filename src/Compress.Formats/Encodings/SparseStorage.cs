using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings;

/// <summary>How zeros of a weight are stored.</summary>
public enum SparseStorage
{
    /// <summary>Whichever takes the fewest bytes; of equal ones the earlier in this list.</summary>
    Auto,

    /// <summary>Like any other value.</summary>
    Dense,

    /// <summary>One bit for each weight says whether it is stored.</summary>
    Bitmap,

    /// <summary>N of every M consecutive columns are stored, with their places; M is 4, 8, 16 or 32.</summary>
    NOfM,

    /// <summary>Compressed sparse rows.</summary>
    Csr,
}

/// <summary>Finds the positions that store a weight's zeros best.</summary>
public static class SparseChoice
{
    static readonly int[] Groups = [4, 8, 16, 32];

    /// <summary>
    /// A weight with its zeros stored as asked. A weight without zeros stays dense whatever is asked, and so does one in which some group
    /// of M has no zero where N:M is asked for.
    /// </summary>
    /// <param name="weight">The weight. Values of a codebook or of a weight that is sparse already are stored as they are.</param>
    /// <param name="storage">What is asked for.</param>
    public static EncodedWeight Apply(EncodedWeight weight, SparseStorage storage) => weight switch
    {
        DenseAndSparseWeight sum => new DenseAndSparseWeight(Apply(sum.Base, storage), sum.Outliers),
        GroupQuantizedWeight groups => Place(LayeredWeight.Of(groups), storage) is { Positions: not DensePositions } sparse ? sparse : groups,
        LayeredWeight layers => Place(layers, storage),
        _ => weight,
    };

    static LayeredWeight Place(LayeredWeight weight, SparseStorage storage)
    {
        var nonZeros = BitmapPositions.OfNonZeros(weight);
        if (storage == SparseStorage.Dense || nonZeros.Count == weight.Rows * weight.Columns) return weight;
        var best = Candidates(nonZeros, storage, weight.Positions is DensePositions).Prepend(weight.Positions)
            .MinBy(p => p == weight.Positions && storage != SparseStorage.Auto ? long.MaxValue : Bytes(p, weight.Values.ElementBits))!;
        return best == weight.Positions ? weight : weight.At(best);
    }

    static IEnumerable<WeightPositions> Candidates(BitmapPositions nonZeros, SparseStorage storage, bool dense)
    {
        if (storage is SparseStorage.Auto or SparseStorage.Bitmap) yield return nonZeros;
        // Groups with fewer than N elements are filled up with zeros, which only a dense weight has values for.
        if (dense && storage is SparseStorage.Auto or SparseStorage.NOfM)
        {
            foreach (var group in Groups)
            {
                if (Periodic(nonZeros, group) is { } periodic) yield return periodic;
            }
        }
        if (storage is SparseStorage.Auto or SparseStorage.Csr) yield return CsrPositions.From(nonZeros);
    }

    static long Bytes(WeightPositions positions, int bits) => positions.StoredBytes + ((long)positions.Count * bits + 7) / 8;

    /// <summary>N:M with the least N that holds all elements; null where that is M.</summary>
    static PeriodicPositions? Periodic(BitmapPositions nonZeros, int group)
    {
        var (most, line) = (1, new int[nonZeros.Columns]);
        for (var row = 0; row < nonZeros.Rows; row++)
        {
            var count = nonZeros.Read(row, line);
            for (var i = 0; i < count;)
            {
                var (first, number) = (i, line[i] / group);
                while (i < count && line[i] / group == number) i++;
                most = Math.Max(most, i - first);
            }
            if (most == group) return null;
        }
        return PeriodicPositions.From(nonZeros, most, group);
    }
}
