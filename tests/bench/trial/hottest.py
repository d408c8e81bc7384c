import csv,sys
rows=list(csv.reader(open(sys.argv[1]))); h=rows[1]; idx={n:i for i,n in enumerate(h)}; R=rows[2:]
stalls=[n for n in h if n.startswith('stall_') and 'Not Issued' not in n]
f=lambda r,n: float(r[idx[n]] or 0) if r[idx[n]] not in('-','') else 0.0
T=sum(f(r,'# Samples') for r in R)
order=sorted(range(len(R)),key=lambda i:-f(R[i],'# Samples'))[:int(sys.argv[2])]
for i in sorted(order):
    r=R[i]; st=sorted(((f(r,n),n[6:]) for n in stalls),reverse=True)[:2]
    print(i,'%.2f%%'%(100*f(r,'# Samples')/T),r[idx['Source']].strip()[:70],[(n,'%.2f'%(100*v/T)) for v,n in st])
